"""`make bench`, or `python -m tests.perf`: what the gateway costs, beside nginx in the same run."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
import tempfile
from pathlib import Path

import uvloop
from tests.perf import hotspots, machine, nginx, report
from tests.perf.peers import Peers
from tests.perf.report import Result
from tests.perf.section import NGINX, Bench, Options

import mcp_gateway

SECTIONS = ("requests", "chunks", "latency", "memory")
DESCRIPTOR_LIMIT = 8_192
QUIET_CHECK = 2.0
QUIET = 0.05


def say(message: str) -> None:
    """Tell a person who waits what is going on."""
    print(f"[bench] {message}", file=sys.stderr, flush=True)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="times every row is measured")
    parser.add_argument("--requests", type=int, default=10_000, help="per row and round")
    parser.add_argument("--connections", type=int, default=32, help="requests in flight")
    parser.add_argument(
        "--only", default=",".join(SECTIONS), help=f"sections, of {','.join(SECTIONS)}"
    )
    parser.add_argument("--soak", type=float, default=0.0, metavar="SECONDS", help="watch memory")
    parser.add_argument(
        "--profile", action="store_true", help="show where the gateway's time goes, and no figures"
    )
    parser.add_argument(
        "--save", metavar="NAME", help="keep the result under tests/perf/results as NAME"
    )
    options = parser.parse_args(argv)
    options.sections = options.only.split(",")
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    return options


async def measured(peers: Peers, args: argparse.Namespace) -> Result:
    """Run the sections that were asked for."""
    options = Options(args.rounds, args.requests, args.connections)
    result = Result(_about(), _settings(options))
    wanted = set(args.sections)
    with peers.provider() as provider:
        # First, and in a process of its own: what load leaves behind is not idle memory.
        if "memory" in wanted:
            with peers.gateway(provider) as face:
                result.idle = await Bench(provider, face, None, options, say).idle()
        with peers.gateway(provider) as face, peers.nginx(provider) as yardstick:
            bench = Bench(provider, face, yardstick, options, say)
            if wanted & {"requests", "latency"}:
                taken = await bench.requests()
                result.requests = report.costs(taken, NGINX)
            if "chunks" in wanted:
                result.chunks = report.costs(await bench.chunks(), NGINX)
            if "latency" in wanted:
                rates = {cost.name: cost.rate for cost in result.requests}
                result.latency = await bench.latency(rates)
            if args.soak > 0:
                result.soak = await bench.soak(args.soak)
    return result


def _about() -> dict[str, str]:
    about = {"mcp-gateway": mcp_gateway.__version__, **machine.description()}
    about["uvloop"] = importlib.metadata.version("uvloop")
    try:
        about["nginx"] = nginx.version()
    except nginx.NoNginx:
        about["nginx"] = "absent"
    return about


def _settings(options: Options) -> dict[str, float]:
    return {
        "rounds": options.rounds,
        "requests per row and round": options.requests,
        "requests in flight": options.connections,
        "seconds of open-loop load": options.latency_seconds,
    }


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and keep what was asked to be kept."""
    args = arguments(argv)
    machine.allow_descriptors(DESCRIPTOR_LIMIT)
    others = machine.busy(QUIET_CHECK)
    if others > QUIET:
        say(f"others use {others:.0%} of these cores: times will be off, CPU figures less so")
    with tempfile.TemporaryDirectory(prefix="mcp-gateway-bench-") as folder:
        peers = Peers(Path(folder), say)
        with machine.pinned(peers.load_core):
            if args.profile:
                print(uvloop.run(hotspots.profile(peers, Path(folder), args.requests, say)))
                return 0
            result = uvloop.run(measured(peers, args))
    result.about["used by others before the start"] = f"{others:.0%}"
    print(report.as_text(result))
    complete = set(args.sections) == set(SECTIONS)
    name = args.save or (mcp_gateway.__version__ if complete else "")
    if name:
        for path in report.save(result, name):
            say(f"wrote {path.relative_to(Path.cwd())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
