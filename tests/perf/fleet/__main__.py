"""`make bench-operator`, or `python -m tests.perf.fleet`: how fast and how frugal the operator is.

It runs on a cluster of its own, whose pods are processes of this machine; with `TEST_KUBECONFIG`
on that one. What is measured is the operator with everything behind it: API server, scheduler,
controllers and pods share the machine's cores with it.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import sys
import tempfile
from pathlib import Path

from tests.perf import machine
from tests.perf.fleet.result import Result, as_text, save
from tests.perf.fleet.section import Bench, Size
from tests.support.kubernetes import Cluster, running_cluster

import mcp_gateway
from mcp_gateway.api.crd import custom_resource_definition

SECTIONS = {
    "changes": "A change of a spec",
    "starts": "A new gateway",
    "many": "Many gateways",
    "tuning": "Busy pods",
}
QUIET_CHECK = 2.0
QUIET = 0.05


def say(message: str) -> None:
    """Tell a person who waits what is going on."""
    print(f"[bench] {message}", file=sys.stderr, flush=True)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf.fleet", description=__doc__)
    normal = Size()
    parser.add_argument("--changes", type=int, default=normal.changes, help="of a spec")
    parser.add_argument("--pods", type=int, default=normal.pods, help="that a change must reach")
    parser.add_argument("--starts", type=int, default=normal.starts, help="of new gateways")
    parser.add_argument("--many", type=int, default=normal.many, help="gateways at once")
    parser.add_argument("--busy", type=int, default=normal.busy, help="pods that report")
    parser.add_argument("--rest", type=float, default=normal.rest, help="seconds of rest")
    parser.add_argument(
        "--only", default=",".join(SECTIONS), help=f"sections, of {','.join(SECTIONS)}"
    )
    parser.add_argument(
        "--save", metavar="NAME", help="keep the result under tests/perf/results as operator-NAME"
    )
    parser.add_argument("--no-save", action="store_true", help="keep nothing")
    options = parser.parse_args(argv)
    options.sections = options.only.split(",")
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    return options


def about(options: argparse.Namespace) -> dict[str, str]:
    """Say what was measured on which kind of machine."""
    others = machine.busy(QUIET_CHECK)
    if others > QUIET:
        say(f"others use {others:.0%} of these cores: times will be longer than they need be")
    return {
        "mcp-gateway": mcp_gateway.__version__,
        **machine.description(),
        "kopf": importlib.metadata.version("kopf"),
        "used by others before the start": f"{others:.0%}",
        "changes": str(options.changes),
        "starts": str(options.starts),
    }


async def measured(cluster: Cluster, options: argparse.Namespace, folder: Path) -> Result:
    """Run the sections that were asked for."""
    size = Size(
        options.changes, options.pods, options.starts, options.many, options.rest, options.busy
    )
    result = Result(about(options))
    bench = Bench(cluster, folder, size, say)
    runs = {
        "changes": bench.changes, "starts": bench.starts, "many": bench.many,
        "tuning": bench.tuning,
    }  # fmt: skip
    for name in options.sections:
        say(SECTIONS[name].lower())
        result.sections[SECTIONS[name]] = await runs[name]()
    return result


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and keep what was asked to be kept."""
    options = arguments(argv)
    with (
        tempfile.TemporaryDirectory(prefix="mcp-gateway-bench-") as folder,
        running_cluster() as cluster,
    ):
        definition = custom_resource_definition()
        cluster.apply(definition)
        cluster.wait("crd", definition["metadata"]["name"], "condition=Established")
        result = asyncio.run(measured(cluster, options, Path(folder)))
    print(as_text(result))
    complete = set(options.sections) == set(SECTIONS)
    name = options.save or (mcp_gateway.__version__ if complete else "")
    if name and not options.no_save:
        for path in save(result, name):
            say(f"wrote {path.relative_to(Path.cwd())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
