"""Where the gateway's time goes: its functions by the CPU time spent in themselves.

The gateway runs under a sampler that the kernel's CPU timer wakes (`sampler.py`), so the
shares are those of an ordinary run: a tracing profiler would charge every call and make small
functions look dear. Time inside C code counts for the Python line that called it.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

from tests.perf import machine, section
from tests.perf.load import Crowd
from tests.perf.peers import Peers
from tests.perf.section import Bench, Options

CONNECTIONS = 32
TOP = 40
SAMPLER = str(Path(__file__).with_name("sampler.py"))


async def profile(peers: Peers, folder: Path, requests: int, say: Callable[[str], None]) -> str:
    """Run `requests` on each face and return a table per face."""
    tables = []
    with peers.provider() as provider:
        for name in (section.HTTP, section.WEBSOCKET, section.OPENAI):
            out = folder / "samples.json"
            out.unlink(missing_ok=True)
            with peers.gateway(provider, interpreter=(SAMPLER, str(out))) as face:
                bench = Bench(provider, face, None, Options(), say)
                async with Crowd(bench.plans(stream=False)[name], CONNECTIONS) as crowd:
                    await crowd.closed_loop(requests // 4)
                    face.process.child.process.send_signal(signal.SIGUSR2)
                    before = machine.cpu_seconds(face.pids)
                    await crowd.closed_loop(requests)
                    used = machine.cpu_seconds(face.pids) - before
                    face.process.child.process.send_signal(signal.SIGUSR2)
            each = used / requests * 1e6
            tables.append(_table(name, json.loads(out.read_text(encoding="utf-8")), each))
            say(f"{name}: {each:.1f} µs per request")
    return "\n".join(tables)


def _table(name: str, samples: dict[str, list[list[object]]], each: float) -> str:
    lines = [f"{name}: {each:.1f} µs of CPU per request", ""]
    for title, kind in (("in itself", "own"), ("with what it calls", "total")):
        counted = [(str(what), int(str(count))) for what, count in samples[kind]]
        whole = int(str(samples["all"][0][0]))
        lines += [f"  µs {title}"]
        for what, count in counted[:TOP]:
            share = count / whole
            lines.append(f"  {share * each:7.2f}  {share:6.1%}  {what}")
        lines.append("")
    return "\n".join(lines)
