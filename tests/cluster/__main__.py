"""A cluster to try things on: `python -m tests.cluster up`, `env`, `down`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.cluster import build
from tests.cluster.local import LocalCluster
from tests.support.cached_install import CACHE, InstallFailed
from tests.support.process import ROOT, python_environment

STATE = CACHE / "cluster"
FACTS = STATE / "facts.json"
LOG = STATE / "serve.log"
START_TIMEOUT = 90.0
STOP_TIMEOUT = 45.0


def _born(pid: int) -> str:
    """Return when a process started, so that a recycled pid is not taken for it; empty: gone."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        state, *fields = text.rpartition(")")[2].split()
        return "" if state == "Z" else fields[18]
    return ""


def _facts() -> dict[str, Any] | None:
    """Return what is known of the cluster that runs; None: there is none."""
    with contextlib.suppress(OSError, ValueError):
        facts: dict[str, Any] = json.loads(FACTS.read_text(encoding="utf-8"))
        if any(_born(each["pid"]) == each["born"] for each in facts["processes"]):
            return facts
    return None


def _record(pids: dict[str, int], **facts: str) -> None:
    STATE.mkdir(parents=True, exist_ok=True)
    processes = [{"name": name, "pid": pid, "born": _born(pid)} for name, pid in pids.items()]
    draft = FACTS.with_suffix(".draft")
    draft.write_text(json.dumps({**facts, "processes": processes}, indent=1), encoding="utf-8")
    draft.rename(FACTS)


def serve(nodes: int) -> int:
    """Be a cluster in the foreground until SIGTERM or Ctrl-C."""

    def leave(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough: the rest takes its time
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    folder = Path(tempfile.mkdtemp(prefix="mcp-gateway-cluster-"))
    try:
        with LocalCluster(folder, nodes=nodes) as cluster:
            pids = {program.name: program.pid for program in reversed(cluster.programs)}
            _record(
                {"serve": os.getpid(), **pids},
                kubeconfig=str(cluster.kubeconfig),
                binaries=str(cluster.binaries),
                folder=str(folder),
            )
            signal.pause()
    finally:
        FACTS.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def up(nodes: int) -> int:
    """Start a cluster in the background, unless there is one, and say how to use it."""
    facts = _facts()
    if facts is None:
        build.control_plane()
        facts = _start(nodes)
    print(f"kubeconfig  {facts['kubeconfig']}")
    print(f"programs    {facts['binaries']}  (kubectl, helm)")
    print(f"logs        {facts['folder']}  (pods: node-*/logs)")
    print('To use it:  eval "$(python -m tests.cluster env)" && kubectl get nodes')
    print("To end it:  make cluster-down")
    return 0


def _start(nodes: int) -> dict[str, Any]:
    STATE.mkdir(parents=True, exist_ok=True)
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.cluster", "serve", "--nodes", str(nodes)],
            cwd=ROOT, env=python_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_TIMEOUT
    while (facts := _facts()) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            process.wait(STOP_TIMEOUT)
            raise InstallFailed(f"the cluster did not start:\n{LOG.read_text(errors='replace')}")
        time.sleep(0.05)
    return facts


def down() -> int:
    """End the cluster by the process ids it recorded."""
    facts = _facts()
    if facts is None:
        print("no cluster runs")
        return 0
    first, *_ = facts["processes"]
    if _born(first["pid"]) == first["born"]:
        os.kill(first["pid"], signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while _born(first["pid"]) == first["born"] and time.monotonic() < deadline:
        time.sleep(0.05)
    for each in facts["processes"]:  # what a killed `serve` left behind
        if _born(each["pid"]) == each["born"]:
            os.kill(each["pid"], signal.SIGKILL)
    FACTS.unlink(missing_ok=True)
    shutil.rmtree(facts["folder"], ignore_errors=True)
    print("the cluster has ended")
    return 0


def env() -> int:
    """Print what a shell needs to use the cluster's kubectl and helm."""
    facts = _facts()
    if facts is None:
        print("no cluster runs: python -m tests.cluster up", file=sys.stderr)
        return 1
    print(f"export KUBECONFIG={facts['kubeconfig']}")
    print(f'export PATH={facts["binaries"]}:"$PATH"')
    return 0


def main() -> int:
    """Read the command line and do as it says."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("up", "start a cluster in the background"),
        ("serve", "be a cluster in the foreground"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("--nodes", type=int, default=1, metavar="N", help="process nodes")
    commands.add_parser("down", help="end it")
    commands.add_parser("env", help="print KUBECONFIG and PATH for a shell")
    args = parser.parse_args()
    try:
        if args.command in {"up", "serve"}:
            return (up if args.command == "up" else serve)(args.nodes)
        return down() if args.command == "down" else env()
    except (InstallFailed, AssertionError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
