"""Where the gateway's time goes: its functions by the CPU time spent in themselves.

The gateway runs under a sampler that the kernel's CPU timer wakes (`sampler.py`), so the
shares are those of an ordinary run: a tracing profiler would charge every call and make small
functions look dear.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.perf import machine, section
from tests.perf.load import Crowd
from tests.perf.peers import Peers
from tests.perf.section import Bench, Options

CONNECTIONS = 32
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


def _table(name: str, samples: dict[str, Any], each: float) -> str:
    lines = [f"{name}: {each:.1f} µs of CPU per request", ""]
    titles = {"rooms": "by room", "own": "in a function itself", "total": "with what it calls"}
    for kind, title in titles.items():
        lines.append(f"  µs {title}")
        for what, count in samples[kind]:
            share = count / samples["count"]
            lines.append(f"  {share * each:7.2f}  {share:6.1%}  {what}")
        lines.append("")
    return "\n".join(lines)
