"""The Kubernetes cluster of the tests: one for the whole session, a namespace for each test.

Without more, a control plane and process nodes are started on loopback (`tests.cluster`). With
`TEST_KUBECONFIG`, tests run on the cluster that this file names; the current context of whoever
runs them is never looked at.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.cluster import build
from tests.cluster.local import LocalCluster
from tests.support.process import ROOT
from tests.support.service_proxy import ServiceProxy

Object = dict[str, Any]
T = TypeVar("T")

KUBECONFIG_VARIABLE = "TEST_KUBECONFIG"
COMMAND_TIMEOUT = 180.0
WAIT_TIMEOUT = 90.0
# Controllers that could not reach the API server for a while look again after half a minute.
CONTROLLED_WITHIN = 120.0
PAUSE = 0.05


class CommandFailed(AssertionError):
    """kubectl or helm failed; the message has its own words.

    Attributes:
        errors: what it wrote on standard error.
    """

    def __init__(self, message: str, errors: str) -> None:
        super().__init__(message)
        self.errors = errors


class Cluster:
    """A cluster and the commands to talk to it.

    Attributes:
        kubeconfig: an administrator's.
        local: the processes behind it, to be killed and restarted; None on somebody's own.
    """

    def __init__(self, kubeconfig: Path, scratch: Path, local: LocalCluster | None = None) -> None:
        self.kubeconfig = kubeconfig
        self.local = local
        self._programs = build.control_plane()
        self._scratch = scratch

    def kubectl(self, *arguments: str, text: str = "", timeout: float = COMMAND_TIMEOUT) -> str:
        """Run kubectl with `text` as its standard input, and return what it prints.

        Raises:
            CommandFailed: its exit status is not 0.
        """
        return self._run("kubectl", *arguments, text=text, timeout=timeout)

    def helm(self, *arguments: str, timeout: float = COMMAND_TIMEOUT) -> str:
        """Run helm, and return what it prints.

        Raises:
            CommandFailed: its exit status is not 0.
        """
        return self._run("helm", *arguments, text="", timeout=timeout)

    def environment(self) -> dict[str, str]:
        """Return the environment for other programs that are to use this cluster."""
        return {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": f"{self._programs}{os.pathsep}{os.environ.get('PATH', '')}",
            "HOME": str(self._scratch),  # discovery caches and helm's repositories
        }

    def get(self, kind: str, name: str, namespace: str = "") -> Object:
        """Return one object.

        Raises:
            CommandFailed: there is none, or no such kind.
        """
        found: Object = json.loads(
            self.kubectl("get", kind, name, *_in(namespace), "-o", "json", "--show-managed-fields")
        )
        return found

    def find(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """Return one object, or None where there is none of that name."""
        text = self.kubectl("get", kind, name, *_in(namespace), "-o", "json", "--ignore-not-found")
        return json.loads(text) if text else None

    def list(self, kind: str, namespace: str = "", selector: str = "") -> list[Object]:
        """Return the objects of a kind, in all namespaces where none is named."""
        where = _in(namespace) or ["--all-namespaces"]
        wanted = ["--selector", selector] if selector else []
        found: list[Object] = json.loads(
            self.kubectl("get", kind, *where, *wanted, "-o", "json", "--show-managed-fields")
        )["items"]
        return found

    def apply(self, *things: Mapping[str, Any], namespace: str = "") -> None:
        """Apply objects as a person would, on the server's side.

        Raises:
            CommandFailed: one was refused.
        """
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(things)})
        self.kubectl("apply", "--server-side", *_in(namespace), "-f", "-", text=text)

    def delete(self, kind: str, name: str, namespace: str = "", *, wait: bool = True) -> None:
        """Delete an object that may be gone already."""
        arguments = [f"--wait={str(wait).lower()}", "--ignore-not-found"]
        self.kubectl("delete", kind, name, *_in(namespace), *arguments)

    def wait(
        self, kind: str, name: str, wanted: str, namespace: str = "", timeout: float = WAIT_TIMEOUT
    ) -> None:
        """Wait as `kubectl wait --for=WANTED` does, also for what is not there yet.

        Raises:
            CommandFailed: it did not come in time.
        """
        deadline = time.monotonic() + timeout
        limit = f"--timeout={timeout}s"
        where = [kind, name, *_in(namespace), limit]
        longer = timeout + COMMAND_TIMEOUT
        if wanted != "delete":
            self.kubectl("wait", "--for=create", *where, timeout=longer)
        while True:
            try:
                self.kubectl("wait", f"--for={wanted}", *where, timeout=longer)
                return
            except CommandFailed as failure:
                # kubectl gives up on an object whose status is still empty.
                if "accessor error" not in failure.errors or time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE)

    @contextlib.contextmanager
    def namespace(self, prefix: str = "test") -> Iterator[str]:
        """Make a namespace in which pods can run at once; leaving the block deletes it."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.kubectl("create", "namespace", name)
        try:
            self.wait("serviceaccount", "default", "create", name, CONTROLLED_WITHIN)
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")

    def service(self, namespace: str, name: str, port: int | str) -> ServiceProxy:
        """Return a way to a Service's port from here; enter it to listen."""
        return ServiceProxy(self.kubeconfig, namespace, name, port)

    def log(self, namespace: str, pod: str, container: str) -> str:
        """Return what a container has written, over all its restarts; also of a deleted pod."""
        if self.local is None:
            return self.kubectl("logs", pod, "--namespace", namespace, "--container", container)
        files = self.local.folder.glob(f"*/logs/{namespace}_{pod}/{container}.log")
        return "".join(file.read_text(errors="replace") for file in files)

    def pid(self, namespace: str, pod: str, container: str) -> int:
        """Return the process of a container, to send signals to. On process nodes only."""
        statuses = self.get("pod", pod, namespace)["status"]["containerStatuses"]
        status = next(each for each in statuses if each["name"] == container)
        return int(status["containerID"].removeprefix("process://"))

    def _run(self, program: str, *arguments: str, text: str, timeout: float) -> str:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            input=text,
            env=self.environment(),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            command = " ".join([program, *arguments])
            raise CommandFailed(f"{command}: {done.stderr.strip()}", done.stderr)
        return done.stdout


def our_own(cluster: Cluster) -> LocalCluster:
    """Return the processes of a cluster of ours; a test about them is skipped on another one."""
    if cluster.local is None:
        pytest.skip("it is about a cluster of our own")
    return cluster.local


def _in(namespace: str) -> list[str]:
    return ["--namespace", namespace] if namespace else []


def eventually(look: Callable[[], T], what: str, timeout: float = WAIT_TIMEOUT) -> T:
    """Return the first true answer of `look`, asked again and again.

    Raises:
        AssertionError: there was none within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}; last seen: {answer!r}")
        time.sleep(PAUSE)


@contextlib.contextmanager
def running_cluster(*, nodes: int = 2) -> Iterator[Cluster]:
    """Return the cluster that `TEST_KUBECONFIG` names, or one that ends with the block."""
    scratch = Path(tempfile.mkdtemp(prefix="mcp-gateway-cluster-"))
    try:
        named = os.environ.get(KUBECONFIG_VARIABLE)
        if named:
            yield Cluster(Path(named), scratch)
            return
        folder = scratch / "cluster"
        folder.mkdir()
        with LocalCluster(folder, nodes=nodes) as local:
            yield Cluster(local.kubeconfig, scratch, local)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The session's cluster, of two nodes."""
    with running_cluster() as running:
        yield running


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace for one test."""
    with cluster.namespace() as name:
        yield name
