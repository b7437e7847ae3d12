"""What the kernel knows of a process: where it may run, what it used, what it holds.

Linux only, like the figures themselves.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")


def cores() -> tuple[int, int] | None:
    """Return (core of what is measured, core of everything else); None with fewer than two."""
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) >= 2 else None


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Run the block, and with it every process that it starts, on one core.

    A child and all its later threads inherit the mask; setting it from outside afterwards
    would miss threads that exist by then.
    """
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def family(pid: int) -> list[int]:
    """Return the process and its living children, and theirs."""
    found = [pid]
    children = (PROC / str(pid) / "task" / str(pid) / "children").read_text().split()
    for child in children:
        found += family(int(child))
    return found


def cpu_seconds(pids: list[int]) -> float:
    """Return user and system time of whole processes, ended threads included.

    Reads each process's CPU clock (clock_getcpuclockid(3), whose number the kernel derives
    from the pid), which counts nanoseconds where /proc/PID/stat counts hundredths.
    """
    scheduled = 2
    return sum(time.clock_gettime((~pid << 3) | scheduled) for pid in pids)


def resident_kib(pid: int) -> int:
    """Return the resident set of one process, in KiB."""
    pages = int((PROC / str(pid) / "statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def open_files(pid: int) -> int:
    """Return how many descriptors the process holds."""
    return len(list((PROC / str(pid) / "fd").iterdir()))


def allow_descriptors(wanted: int) -> int:
    """Raise this process's descriptor limit, for its children too, and return what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = min(max(soft, wanted), hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return target


def busy(seconds: float) -> float:
    """Watch for `seconds` and return which part of the allowed cores' time was used, 0 to 1."""
    before = _idle_seconds()
    time.sleep(seconds)
    idle = _idle_seconds() - before
    return min(1.0, max(0.0, 1.0 - idle / (seconds * len(os.sched_getaffinity(0)))))


def _idle_seconds() -> float:
    allowed = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    lines = (line.split() for line in (PROC / "stat").read_text().splitlines())
    # proc(5): user, nice, system, idle, iowait, ... in ticks.
    ticks = sum(int(line[4]) + int(line[5]) for line in lines if line[0] in allowed)
    return ticks / os.sysconf("SC_CLK_TCK")


def description() -> dict[str, str]:
    """Say what kind of machine this is, without saying which."""
    model = "unknown processor"
    with contextlib.suppress(OSError):
        for line in (PROC / "cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "processor": model,
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
