"""Runs a module under a sampling profiler: `python sampler.py OUT -m MODULE ARGUMENTS...`.

SIGUSR2 starts the sampling and ends it again. The CPU timer of the process (ITIMER_PROF) sends
SIGPROF; the handler notes the stack of the main thread. At the end the counts of rooms and
functions are written to OUT as JSON. Python runs the handler between two of its own
instructions, so time in the kernel and in C counts for the Python code that comes next.
"""

from __future__ import annotations

import collections
import json
import runpy
import signal
import sys
from pathlib import Path
from types import CodeType, FrameType

INTERVAL = 0.001
KEPT = 40


class Sampler:
    """Counts of stacks."""

    def __init__(self) -> None:
        self.own: collections.Counter[CodeType] = collections.Counter()
        self.total: collections.Counter[CodeType] = collections.Counter()
        self.rooms: collections.Counter[str] = collections.Counter()
        self.count = 0
        self.running = False

    def toggle(self, _number: int, _frame: FrameType | None) -> None:
        """Start or end sampling."""
        self.running = not self.running
        interval = INTERVAL if self.running else 0.0
        signal.setitimer(signal.ITIMER_PROF, interval, interval)

    def sample(self, _number: int, frame: FrameType | None) -> None:
        """Count one stack."""
        if frame is None:
            return
        self.count += 1
        self.own[frame.f_code] += 1
        self.rooms[_room(frame.f_code)] += 1
        seen: set[CodeType] = set()
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        self.total.update(seen)

    def as_json(self) -> str:
        """The counts, the most first."""
        # Functions that are in every stack, from the interpreter's start to the loop, say nothing.
        inner = [(code, n) for code, n in self.total.most_common() if n < self.count]
        tree = {
            "count": self.count,
            "rooms": self.rooms.most_common(),
            "own": [(_name(code), n) for code, n in self.own.most_common(KEPT)],
            "total": [(_name(code), n) for code, n in inner[:KEPT]],
        }
        return json.dumps(tree)


def _name(code: CodeType) -> str:
    path = Path(code.co_filename)
    return f"{'/'.join(path.parts[-2:])}:{code.co_firstlineno} {code.co_qualname}"


def _room(code: CodeType) -> str:
    """The room of the gateway that a function belongs to, or the package it comes from."""
    parts = Path(code.co_filename).parts
    for root in ("mcp_gateway", "site-packages"):
        if root in parts:
            return Path(parts[parts.index(root) + 1]).stem
    return "generated code" if code.co_filename.startswith("<") else "standard library"


def main() -> None:
    """Run the module named on the command line until it ends."""
    out, flag, module, *arguments = sys.argv[1:]
    assert flag == "-m", "expected OUT -m MODULE"
    sampler = Sampler()
    signal.signal(signal.SIGPROF, sampler.sample)
    signal.signal(signal.SIGUSR2, sampler.toggle)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        Path(out).write_text(sampler.as_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
