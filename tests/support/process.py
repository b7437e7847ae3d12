"""Child processes of tests and benchmarks: started by argument list, ended by their own pid.

Every wait here is bounded, and a child that dies early is reported with what it wrote last.
"""

from __future__ import annotations

import collections
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
KEPT_LINES = 200


class ChildFailed(AssertionError):
    """A child ended, or stayed silent, where it should have done something."""


def python_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment with the source tree importable, plus `extra`."""
    path = os.pathsep.join([str(ROOT / "gateway"), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(extra or {})}


class Child:
    """One child process. Its output is read all the time, so it never blocks on a full pipe.

    The last lines of both streams are kept for messages; `lines` of standard output can be
    waited for. Use as a context manager: leaving it stops the child.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        name: str,
        environment: Mapping[str, str] | None = None,
        folder: Path = ROOT,
        log: Path | None = None,
    ) -> None:
        """Start the child. With `log`, standard error goes to that file and is not kept."""
        self.name = name
        self._recent: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        self._lines: queue.Queue[str | None] = queue.Queue()
        errors = log.open("wb") if log is not None else None
        try:
            self.process = subprocess.Popen(
                list(arguments),
                cwd=folder,
                env=None if environment is None else dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors or subprocess.PIPE,
                text=True,
                errors="replace",
            )
        finally:
            if errors is not None:
                errors.close()
        self._readers = [
            threading.Thread(target=self._read_output, name=f"{name}-out", daemon=True)
        ]
        if log is None:
            reader = threading.Thread(target=self._read_errors, name=f"{name}-err", daemon=True)
            self._readers.append(reader)
        for reader in self._readers:
            reader.start()

    @classmethod
    def module(
        cls,
        module: str,
        *arguments: str,
        name: str = "",
        extra_environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        interpreter: Sequence[str] = (),
    ) -> Self:
        """Start `python -m module` of this very interpreter, `interpreter` in front of `-m`."""
        return cls(
            [sys.executable, *interpreter, "-m", module, *arguments],
            name=name or module,
            environment=python_environment(extra_environment),
            log=log,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _read_output(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._recent.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._recent.append(line)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self.process.pid

    @property
    def output(self) -> str:
        """The last lines it wrote on either stream, for a failure's message."""
        return "".join(self._recent)

    def wait_for_line(self, wanted: Callable[[str], bool], timeout: float = 60.0) -> str:
        """Return the first line of standard output that `wanted` accepts.

        Raises:
            ChildFailed: the child ended, or `timeout` seconds passed, without such a line.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise ChildFailed(
                    f"{self.name} was silent for {timeout} s\n{self.output}"
                ) from None
            if line is None:
                status = self.process.wait(timeout)
                raise ChildFailed(f"{self.name} ended with status {status}\n{self.output}")
            if wanted(line):
                return line

    def wait(self, timeout: float) -> int:
        """Return the exit status of a child that ends by itself.

        Raises:
            ChildFailed: it still runs after `timeout` seconds.
        """
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ChildFailed(f"{self.name} still runs after {timeout} s\n{self.output}") from None
        self._close()
        return status

    def stop(self, grace: float = 10.0, first: signal.Signals = signal.SIGTERM) -> int:
        """End the child: `first`, then after `grace` seconds SIGKILL. Idempotent.

        Returns:
            Its exit status, negative for a signal.
        """
        if self.process.poll() is None:
            self.process.send_signal(first)
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(grace)
        self._close()
        return self.process.returncode

    def _close(self) -> None:
        for reader in self._readers:
            reader.join(5.0)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
