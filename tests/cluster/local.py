"""A whole cluster on this machine: a control plane and process nodes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster import build
from tests.cluster.control_plane import ControlPlane
from tests.cluster.program import Program
from tests.support.process import ROOT, python_environment

NODE_TIMEOUT = 120.0


class LocalCluster:
    """A control plane with process nodes. A context manager: leaving it ends every process.

    Attributes:
        control_plane: its four programs.
        nodes: the process nodes by name.
        binaries: where kubectl and helm are.
    """

    def __init__(self, folder: Path, *, nodes: int = 1) -> None:
        """Prepare one in an empty `folder`.

        Raises:
            InstallFailed: the programs are not built yet, and cannot be.
        """
        self.folder = folder
        self.binaries = build.control_plane()
        self.control_plane = ControlPlane(folder, self.binaries)
        self.nodes = {name: self._node(name) for name in (f"node-{n + 1}" for n in range(nodes))}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.control_plane.kubeconfig

    @property
    def programs(self) -> tuple[Program, ...]:
        """Every program, in the order to start them."""
        return *self.control_plane.programs, *self.nodes.values()

    def start(self) -> None:
        """Start everything, and return when pods can run.

        Raises:
            ProgramFailed: something ended, or was not ready in time.
        """
        self.control_plane.start()
        try:
            for node in self.nodes.values():
                node.start()
            for name in self.nodes:
                self._wait_for_node(name)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything, the pods' processes first. Idempotent."""
        for node in self.nodes.values():
            node.stop()
        self.control_plane.stop()

    def _node(self, name: str) -> Program:
        arguments = [
            sys.executable, "-m", "tests.cluster.process_node", "--name", name,
            "--kubeconfig", str(self.control_plane.kubeconfig),
            "--folder", str(self.folder / name), "--zone", f"zone-{name.rpartition('-')[2]}",
        ]  # fmt: skip
        return Program(name, arguments, self.folder, python_environment())

    def _wait_for_node(self, name: str) -> None:
        """Return when pods can be bound to a node: it is ready, and no taint says otherwise."""
        deadline = time.monotonic() + NODE_TIMEOUT
        template = "{.status.conditions[?(@.type=='Ready')].status}{.spec.taints}"
        while self._kubectl("get", "node", name, "-o", f"jsonpath={template}") != "True":
            self.nodes[name].check()
            if time.monotonic() > deadline:
                raise self.nodes[name].failure(f"was not ready within {NODE_TIMEOUT:.0f} s")
            time.sleep(0.05)

    def _kubectl(self, *arguments: str) -> str:
        command = [str(self.binaries / "kubectl"), "--kubeconfig", str(self.kubeconfig), *arguments]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60,
            check=False,
        ).stdout  # fmt: skip
