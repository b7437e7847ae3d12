"""What is recorded of a cluster that runs in the background, to use it and to end it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STOP_TIMEOUT = 45.0


def _born(pid: int) -> str:
    """Return when a process started, so that a recycled pid is not taken for it; empty: gone."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        state, *fields = text.rpartition(")")[2].split()
        return "" if state == "Z" else fields[18]
    return ""


def _runs(process: Mapping[str, Any]) -> bool:
    return bool(process["born"]) and _born(process["pid"]) == process["born"]


class State:
    """The record of one cluster, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "serve.log"
        self._file = folder / "facts.json"
        folder.mkdir(parents=True, exist_ok=True)

    def read(self) -> dict[str, Any] | None:
        """Return the facts of the cluster that runs; None: there is none."""
        facts = self._recorded()
        return facts if facts and any(map(_runs, facts["processes"])) else None

    def _recorded(self) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError):
            facts: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            return facts
        return None

    def record(self, pids: Mapping[str, int], **facts: str) -> None:
        """Write down a cluster: its processes, the one that ends the others first, and facts."""
        processes = [{"name": name, "pid": pid, "born": _born(pid)} for name, pid in pids.items()]
        draft = self._file.with_suffix(".draft")
        draft.write_text(json.dumps({**facts, "processes": processes}, indent=1), encoding="utf-8")
        draft.rename(self._file)

    def forget(self) -> None:
        """Drop the record."""
        self._file.unlink(missing_ok=True)

    def end(self) -> bool:
        """End what is recorded, with its folder; false: nothing is."""
        facts = self._recorded()
        if facts is None:
            return False
        first, *_ = facts["processes"]
        if _runs(first):
            os.kill(first["pid"], signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT
        while _runs(first) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in facts["processes"]:  # what a killed leader left behind
            if _runs(process):
                os.kill(process["pid"], signal.SIGKILL)
        self.forget()
        shutil.rmtree(facts["folder"], ignore_errors=True)
        return True
