"""Foreign packages that tests run, installed once per version in the user's cache folder.

It lies outside the tree, so that a fresh clone does not build a Kubernetes again. A folder is
made beside its place and renamed into it when it is complete, under a lock that other test
processes wait for: two runs at a time install once, and a run that was interrupted leaves
nothing that looks finished.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcp-gateway-tests"
INSTALL_TIMEOUT = 600.0


class InstallFailed(Exception):
    """A registry could not be reached, or refused; the message ends with the tool's own words."""


def progress(message: str) -> None:
    """Say on the terminal, past pytest's capture, what a first run is waiting for."""
    print(f"[tests] {message}", file=sys.__stderr__, flush=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cached(kind: str, name: str, build: Callable[[Path], None], *, movable: bool = True) -> Path:
    """Return `<CACHE>/<kind>/<name>`, made by `build` if it is not there yet.

    Args:
        kind: the tool that installs, as a folder name.
        name: what is in the folder, with its version.
        build: fills the empty folder it is given.
        movable: the result works under another path too. A virtual environment does not:
            it is built in its place, and a mark says that it is whole.

    Raises:
        InstallFailed: from `build`.
    """
    place = CACHE / kind / name
    mark = place / ".complete"
    if mark.exists():
        return place
    with _locked(CACHE / kind / f".{name}.lock"):
        if mark.exists():
            return place
        shutil.rmtree(place, ignore_errors=True)
        if not movable:
            place.mkdir()
            build(place)
            mark.touch()
            return place
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{name}-") as scratch:
            made = Path(scratch) / name
            made.mkdir()
            build(made)
            (made / ".complete").touch()
            made.rename(place)
    return place


def install(arguments: Sequence[str], *, folder: Path, what: str) -> None:
    """Run one installing command.

    Raises:
        InstallFailed: it failed, or took more than ten minutes.
    """
    progress(f"installing {what} into .cache (once)")
    try:
        done = subprocess.run(
            list(arguments),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InstallFailed(f"cannot install {what}: {error}") from error
    if done.returncode:
        raise InstallFailed(f"cannot install {what}: {(done.stderr or done.stdout)[-2000:]}")
