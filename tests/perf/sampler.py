"""Runs a module under a sampling profiler: `python sampler.py OUT -m MODULE ARGUMENTS...`.

SIGUSR2 starts the sampling and ends it again. The CPU timer of the process (ITIMER_PROF) sends
SIGPROF; the handler notes the stack of the main thread. At the end the counts of functions,
in themselves and with what they call, are written to OUT as JSON.
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


class Sampler:
    """Counts of stacks."""

    def __init__(self) -> None:
        self.own: collections.Counter[CodeType] = collections.Counter()
        self.total: collections.Counter[CodeType] = collections.Counter()
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
        seen: set[CodeType] = set()
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        self.total.update(seen)

    def as_json(self) -> str:
        """The counts, the most first."""
        kinds = {"own": self.own, "total": self.total}
        tree: dict[str, list[list[object]]] = {
            kind: [[_name(code), number] for code, number in counter.most_common(80)]
            for kind, counter in kinds.items()
        }
        tree["all"] = [[self.count]]
        return json.dumps(tree)


def _name(code: CodeType) -> str:
    path = Path(code.co_filename)
    return f"{'/'.join(path.parts[-2:])}:{code.co_firstlineno} {code.co_qualname}"


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
