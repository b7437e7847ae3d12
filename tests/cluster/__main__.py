"""A cluster to try things on: `python -m tests.cluster up`, `env`, `down`."""

from __future__ import annotations

import argparse
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
from tests.cluster.state import STOP_TIMEOUT, State
from tests.support.cached_install import CACHE, InstallFailed
from tests.support.process import ROOT, python_environment

START_TIMEOUT = 300.0


def serve(state: State, nodes: int) -> int:
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
            state.record(
                {"serve": os.getpid(), **pids},
                kubeconfig=str(cluster.kubeconfig),
                binaries=str(cluster.binaries),
                folder=str(folder),
            )
            while True:
                signal.pause()
    finally:
        state.forget()
        shutil.rmtree(folder, ignore_errors=True)


def up(state: State, nodes: int) -> int:
    """Start a cluster in the background, unless there is one, and say how to use it."""
    facts = state.read()
    if facts is None:
        build.control_plane()
        facts = _start(state, nodes)
    print(f"kubeconfig  {facts['kubeconfig']}")
    print(f"programs    {facts['binaries']} (kubectl, helm)")
    print(f"logs        {facts['folder']} (of pods: node-*/logs)")
    ours = f"{os.path.relpath(sys.executable)} -m tests.cluster"
    print(f'To use it:  eval "$({ours} env)" && kubectl get nodes')
    print(f"To end it:  {ours} down")
    return 0


def _start(state: State, nodes: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.cluster", "--state", str(state.log.parent)]
    with state.log.open("wb") as log:
        process = subprocess.Popen(
            [*command, "serve", "--nodes", str(nodes)], cwd=ROOT, env=python_environment(),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_TIMEOUT
    while (facts := state.read()) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            process.terminate()
            process.wait(STOP_TIMEOUT)
            said = state.log.read_text(errors="replace")
            raise InstallFailed(f"the cluster did not start:\n{said}")
        time.sleep(0.05)
    return facts


def down(state: State) -> int:
    """End the cluster by the process ids it recorded."""
    print("the cluster has ended" if state.end() else "no cluster runs")
    return 0


def env(state: State) -> int:
    """Print what a shell needs to use the cluster's kubectl and helm."""
    facts = state.read()
    if facts is None:
        print("no cluster runs: python -m tests.cluster up", file=sys.stderr)
        return 1
    print(f"export KUBECONFIG={facts['kubeconfig']}")
    print(f'export PATH={facts["binaries"]}:"$PATH"')
    return 0


def main() -> int:
    """Read the command line and do as it says."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument(
        "--state", type=Path, default=CACHE / "cluster", metavar="DIR",
        help="where it is recorded: one cluster for each such folder",
    )  # fmt: skip
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
    state = State(args.state.resolve())
    try:
        if args.command in {"up", "serve"}:
            return (up if args.command == "up" else serve)(state, args.nodes)
        return (down if args.command == "down" else env)(state)
    except (InstallFailed, AssertionError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
