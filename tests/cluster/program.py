"""One long-running program of the tests' cluster, started, killed and started again at will."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_TIMEOUT = 10.0
LOG_TAIL = 3000


class ProgramFailed(AssertionError):
    """A program ended, or was not ready in time; the message has the end of its log."""


def tied(arguments: Sequence[str]) -> list[str]:
    """Return a command line whose process the kernel kills when its parent dies.

    A test run that is killed leaves no servers then. Where `setpriv` is missing they stay until
    `python -m tests.cluster down`.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *arguments] if setpriv else list(arguments)


class Program:
    """A program with fixed arguments. Its output goes to `log`, which keeps earlier runs too."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._arguments = tied(arguments)
        self._folder = folder
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id; it must be running or have run."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """It was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it. It must not be running; from the main thread only."""
        assert not self.running, f"{self.name} runs already"
        # The kernel's "parent" of a tied process is the thread that started it.
        assert threading.current_thread() is threading.main_thread(), "start it in the main thread"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal is for us to pass on, in order
            )

    def stop(self, first: signal.Signals = signal.SIGTERM) -> None:
        """End it: `first`, and after ten seconds SIGKILL. Idempotent."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(first)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT)

    def kill(self) -> None:
        """End it as a crash would."""
        self.stop(signal.SIGKILL)

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            ProgramFailed: it has ended.
        """
        if not self.running:
            raise self.failure("ended")

    def failure(self, what: str) -> ProgramFailed:
        """Return an exception that says `what` happened and shows the end of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return ProgramFailed(f"{self.name} {what}; its log {self.log} ends:\n{text[-LOG_TAIL:]}")
