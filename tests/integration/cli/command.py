"""The command line as a user starts it: a process with streams of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from tests.support.process import python_environment

TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which nothing is set that the commands look at."""
    env = python_environment(extra)
    for name in ("NO_COLOR", "MCP_GATEWAY_URL", "MCP_GATEWAY_API_KEY"):
        if name not in (extra or {}):
            env.pop(name, None)
    return env


def command(*argv: str) -> list[str]:
    return [sys.executable, "-m", "mcp_gateway", *argv]


def run(*argv: str, stdin: str = "", env: Mapping[str, str] | None = None) -> Done:
    """Run a command to its end."""
    done = subprocess.run(
        command(*argv),
        input=stdin.encode(),
        capture_output=True,
        timeout=TIMEOUT,
        env=environment(env),
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


class Running:
    """A command that runs; what it writes is read all the time."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self._streams = {"out": b"", "err": b""}
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(name, stream), daemon=True)
            for name, stream in (("out", process.stdout), ("err", process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def out(self) -> str:
        return self._streams["out"].decode()

    @property
    def err(self) -> str:
        return self._streams["err"].decode()

    def wait_for(self, stream: str, text: str) -> None:
        """Return when the text was written to the stream, `out` or `err`."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: text.encode() in self._streams[stream], timeout=TIMEOUT
            )
        assert found, f"no {text!r} on {stream}\n{self.out}\n{self.err}"

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> Done:
        """Wait for its end."""
        status = self.process.wait(TIMEOUT)
        for reader in self._readers:
            reader.join(TIMEOUT)
        return Done(status, self.out, self.err)

    def _read(self, name: str, stream: IO[bytes]) -> None:
        while data := os.read(stream.fileno(), 65536):
            with self._changed:
                self._streams[name] += data
                self._changed.notify_all()


@contextmanager
def start(*argv: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """Run a command for the length of the block, and kill it if it is not over by then."""
    process = subprocess.Popen(
        command(*argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(env),
    )
    with process:
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()


def until(fact: Callable[[], bool], patience: float = TIMEOUT) -> None:
    """Return when `fact()` is true."""
    deadline = time.monotonic() + patience
    while not fact():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.02)
