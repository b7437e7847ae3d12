"""The operator as a process of its own, on the tests' cluster."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.kubernetes import Cluster, eventually
from tests.support.process import ROOT, Child

STARTED_WITHIN = 120.0
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)

WRITES = ("create", "apply", "delete")
"""Verbs of the operator's requests that change something; its Lease is patched too."""


class OperatorProcess:
    """One replica. A context manager: leaving it ends the process.

    Attributes:
        log: its log file.
    """

    def __init__(self, cluster: Cluster, namespace: str, folder: Path, *options: str) -> None:
        """Start it.

        Args:
            cluster: the cluster.
            namespace: where its Lease is, and, without an option that says otherwise, the only
                one it works in.
            folder: for its log.
            options: more words for its command line.
        """
        self.log = folder / f"operator-{time.monotonic_ns()}.log"
        scope = () if "--everywhere" in options else ("--namespace", namespace)
        self._child = Child.module(
            "mcp_gateway_operator", "run", "--kubeconfig", str(cluster.kubeconfig),
            "--operator-namespace", namespace, "--host", "127.0.0.1", "--port", "0", *scope,
            *(option for option in options if option != "--everywhere"),
            name="operator", log=self.log,
            extra_environment={"PYTHONPATH": os.pathsep.join(
                str(ROOT / part) for part in ("gateway", "operator", "")
            )},
        )  # fmt: skip

    def __enter__(self) -> OperatorProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.signal(signal.SIGCONT)
        self._child.stop(grace=20.0)

    @property
    def running(self) -> bool:
        """It has not ended."""
        return self._child.process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.process.pid

    def lines(self, message: str = "") -> list[dict[str, Any]]:
        """What it logged, or those lines that say `message`."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [line for line in found if not message or line["message"] == message]

    def wait_leading(self, timeout: float = STARTED_WITHIN) -> int:
        """Return the epoch once it leads."""
        found = eventually(lambda: self.lines("leading"), "the operator leads", timeout)
        return int(found[-1]["epoch"])

    def wait_synced(self) -> None:
        """Return once it has seen the cluster."""
        eventually(lambda: self.lines("synced"), "the operator has synced", STARTED_WITHIN)

    def get(self, path: str) -> tuple[int, str]:
        """Ask its own port; status and text."""
        port = self.lines("listening")[0]["port"]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{port}{path}", timeout=30.0) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        samples = self._samples(name)
        return sum(value for has, value in samples if labels.items() <= has.items())

    def _samples(self, name: str) -> list[tuple[dict[str, str], float]]:
        return [
            (dict(re.findall(r'(\w+)="([^"]*)"', text)), float(value))
            for found, text, value in _SAMPLE.findall(self.get("/metrics")[1])
            if found == name
        ]

    def requests(self) -> Mapping[str, float]:
        """Requests to the API server so far, by verb."""
        found = dict.fromkeys(("get", "list", "watch", "patch", *WRITES), 0.0)
        for labels, value in self._samples("mcp_gateway_operator_api_requests_total"):
            found[labels["verb"]] = found.get(labels["verb"], 0.0) + value
        return found

    def writes(self) -> float:
        """Requests that changed something, the Lease's apart."""
        found = self.requests()
        return sum(found[verb] for verb in WRITES)

    def quiet(self, seconds: float = 2.0, timeout: float = 120.0) -> float:
        """Return the number of writes once there was none for some seconds."""
        deadline = time.monotonic() + timeout
        known, since = self.writes(), time.monotonic()
        while time.monotonic() - since < seconds:
            assert time.monotonic() < deadline, f"still writing after {timeout} s"
            time.sleep(min(0.1, seconds / 4))
            if (now := self.writes()) != known:
                known, since = now, time.monotonic()
        return known

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._child.process.send_signal(number)

    def kill(self) -> None:
        """End it without a word."""
        self.signal(signal.SIGKILL)
        self._child.process.wait(10.0)

    def stop(self) -> int:
        """End it in order; the exit status."""
        return self._child.stop(grace=20.0)


@contextlib.contextmanager
def running_operator(
    cluster: Cluster, namespace: str, folder: Path, *options: str
) -> Iterator[OperatorProcess]:
    """Run one replica that leads."""
    with OperatorProcess(cluster, namespace, folder, *options) as operator:
        operator.wait_leading()
        yield operator
