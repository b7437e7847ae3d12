"""`python -m tests.perf.tracing`: what traces add to a request, beside a gateway without them."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop
from tests.perf import machine, measure, wire
from tests.perf.load import Plan
from tests.perf.measure import Row
from tests.perf.peers import Peers
from tests.support.otlp_receiver import otlp_receiver

RATIOS = {"off": None, "none sampled": 0.0, "1 % sampled": 0.01, "all sampled": 1.0}


def say(message: str) -> None:
    """Tell a person who waits what is going on."""
    print(f"[bench] {message}", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Measure and print: CPU of the gateway's process, its span thread's included."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf.tracing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=5_000, help="per row and round")
    args = parser.parse_args(argv)
    say(f"others use {machine.busy(2.0):.0%} of these cores")
    with tempfile.TemporaryDirectory(prefix="mcp-gateway-bench-") as folder, ExitStack() as stack:
        peers = Peers(Path(folder), say)
        receiver = stack.enter_context(otlp_receiver())
        provider = stack.enter_context(peers.provider())
        rows = []
        for name, ratio in RATIOS.items():
            tracing = {"otlpEndpoint": receiver.url, "sampleRatio": ratio}
            more: dict[str, Any] = {} if ratio is None else {"monitoring": {"tracing": tracing}}
            face = stack.enter_context(peers.gateway(provider, **more))
            rows.append(Row(name, Plan(face.openai, wire.openai(face.openai)), face.pids))
        with machine.pinned(peers.load_core):
            taken = uvloop.run(
                measure.rounds(
                    rows, count=args.rounds, requests=args.requests, connections=32, say=say
                )
            )
    print(f"{'traces':14} {'µs/request':>11} {'ratio':>7}")
    for name, samples in taken.items():
        ratio = measure.ratio(samples, taken["off"])
        print(f"{name:14} {statistics.median(samples.cpu):11.1f} {ratio:7.3f}")
    print(f"{len(receiver.spans)} spans were received")
    return 0


if __name__ == "__main__":
    sys.exit(main())
