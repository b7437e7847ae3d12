"""What the full node takes from Debian: its packages, and the root file system of its images."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.cached_install import InstallFailed, cached, install

RELEASE = "bookworm"
INCLUDED = "ca-certificates,python3,python3-venv"

# A program that tells whether a package is there, and the package.
PACKAGES = {
    "/usr/bin/containerd": "containerd",
    "/usr/sbin/runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/sbin/iptables": "iptables",
    "/usr/sbin/conntrack": "conntrack",
    "/usr/bin/mmdebstrap": "mmdebstrap",
    "/usr/sbin/ip": "iproute2",
}


class NotPossible(Exception):
    """This machine cannot run a full node; the message says what it lacks."""


def require_packages() -> None:
    """Return when everything is installed, after installing what is missing.

    Raises:
        NotPossible: not root, not Debian, or a package cannot be installed.
    """
    if os.geteuid() != 0:
        raise NotPossible("a full node needs root; or name a cluster with TEST_KUBECONFIG")
    missing = sorted(package for path, package in PACKAGES.items() if not Path(path).exists())
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise NotPossible(f"a full node needs {', '.join(missing)}, and there is no apt-get")
    folder = Path("/")
    os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
    try:
        install(["apt-get", "update", "-qq"], folder=folder, what="Debian's list of packages")
        words = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
        install([*words, *missing], folder=folder, what=" ".join(missing))
    except InstallFailed as error:
        raise NotPossible(str(error)) from error


def root_tree() -> Path:
    """Return the folder of a small Debian with Python, unpacked, which must not be changed.

    Raises:
        InstallFailed: the mirror could not be reached.
    """

    def build(folder: Path) -> None:
        tree = folder / "tree"
        options = ["--variant=minbase", f"--include={INCLUDED}", "--format=directory", "--quiet"]
        command = ["mmdebstrap", *options, RELEASE, str(tree)]
        install(command, folder=folder, what=f"Debian {RELEASE}")
        for each in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
            shutil.rmtree(tree / each, ignore_errors=True)
        _like_python_image(tree)

    return cached("e2e", f"debian-{RELEASE}", build) / "tree"


def _like_python_image(tree: Path) -> None:
    """Make it take the steps that are written for the `python` images of the registries."""
    for marker in tree.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    local = tree / "usr" / "local" / "bin"
    for name in ("python", "python3"):
        (local / name).symlink_to("/usr/bin/python3")


def run(*command: str, check: bool = True, timeout: float = 60.0) -> str:
    """Run a command of the system and return what it prints.

    Raises:
        NotPossible: it failed, and `check` is set.
    """
    done = subprocess.run(
        list(command), capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode:
        raise NotPossible(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
