"""`make bench-tuning`, or `python -m tests.perf.tuning`: does the closed loop keep an account full?

It runs on a cluster of its own: a real API server, a real operator, gateways that are processes
of this machine, a simulated provider that enforces one account's limit, and a load generator.
Beside the tuned fleets, in the same run, are static ones.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.perf import machine
from tests.perf.tuning import picture, rates
from tests.perf.tuning.play import CONTROLLERS, Controller, Stage
from tests.perf.tuning.rates import BOUNDS
from tests.perf.tuning.scenario import LENGTH, SCENARIOS, Pace, Scenario
from tests.perf.tuning.table import Result, as_json, as_text, of_json, save
from tests.support.kubernetes import Cluster, running_cluster
from tests.support.process import ROOT

import mcp_gateway
from mcp_gateway.api.crd import custom_resource_definition

PICTURES = ROOT / "docs" / "images"
QUIET_CHECK = 2.0
DESCRIPTORS = 16_384
BEGAN = time.monotonic()


def say(message: str) -> None:
    """Tell a person who waits what is going on."""
    print(f"[bench {time.monotonic() - BEGAN:5.0f} s] {message}", file=sys.stderr, flush=True)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf.tuning", description=__doc__)
    everything = [*SCENARIOS, *BOUNDS]
    parser.add_argument("--only", default=",".join(everything), help=f"of {','.join(everything)}")
    parser.add_argument("--controllers", default=",".join(CONTROLLERS), metavar="A,B",
                        help=f"of {','.join(CONTROLLERS)} (default: all)")  # fmt: skip
    parser.add_argument("--churn", choices=("without", "with", "both"), default="both",
                        help="pods and operators that come and go (default: both)")  # fmt: skip
    parser.add_argument("--scale", type=float, default=Pace().scale, metavar="N",
                        help="times faster than life (default: %(default)g)")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=LENGTH / 60, metavar="N",
                        help="of a scenario; its phases shrink (default: 30)")  # fmt: skip
    parser.add_argument("--rate-minutes", type=int, default=3, metavar="N",
                        help="of the runs bound by a rate (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="runs of each")
    parser.add_argument("--first-seed", type=int, default=1, metavar="N", help="of them")
    parser.add_argument("--save", metavar="NAME", help="keep the result as results/tuning-NAME")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER",
                        help="draw every run there (default with --save: docs/images)")  # fmt: skip
    parser.add_argument("--merge", nargs="+", type=Path, default=[], metavar="FILE",
                        help="measure nothing: put these results together")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    options = parser.parse_args(argv)
    options.only = options.only.split(",")
    options.controllers = options.controllers.split(",")
    unknown = {*options.only} - {*everything} | {*options.controllers} - {*CONTROLLERS}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    return options


def about(options: argparse.Namespace) -> dict[str, str]:
    """Say what was measured on which kind of machine."""
    return {
        "mcp-gateway": mcp_gateway.__version__,
        **machine.description(),
        "used by others before the start": f"{machine.busy(QUIET_CHECK):.0%}",
        "played": f"{options.scale:g} times as fast as life",
        "minutes of a scenario": f"{options.minutes:g}",
        "seeds": str(options.seeds),
    }


def plan(options: argparse.Namespace) -> Iterator[tuple[Scenario, Controller, bool, int]]:
    """Everything that is to be played: scenario, controller, churn, seed."""
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for churn in (False, True):
        if options.churn == ("without" if churn else "with"):
            continue
        for scenario in (SCENARIOS[name] for name in options.only if name in SCENARIOS):
            for controller in (CONTROLLERS[name] for name in options.controllers):
                for seed in seeds:
                    yield scenario, controller, churn, seed


async def measured(
    cluster: Cluster, options: argparse.Namespace, folder: Path, result: Result
) -> None:
    """Play everything that was asked for."""
    stage = Stage(cluster, folder, say)
    pace = Pace(options.scale, options.minutes * 60.0 / LENGTH)
    for scenario, controller, churn, seed in plan(options):
        words = f"{scenario.name} ({scenario.title}), {controller.name}, seed {seed}"
        say(words + (", with churn" if churn else ""))
        run = await stage.play(scenario, controller, pace, seed, churn=churn)
        result.runs.append(run)
        say(f"{run.goodput:.1f} % of the best, {run.refused_percent:.2f} % refused, at most "
            f"{run.most} in flight, {run.over} above, failed {run.failed}, "
            f"operator {run.cpu / run.seconds:.1%}, {run.kills} kills")  # fmt: skip
        for change in run.changes[-4:]:
            say(f"  {change}")
        if where := options.pictures or (PICTURES if options.save else None):
            picture.save(run, options.scale, where)
    for name in options.only:
        if name in BOUNDS:
            say(f"an account bound by {BOUNDS[name].name}")
            rate = await rates.play(cluster, folder, say, BOUNDS[name], options.rate_minutes)
            result.rates.append(rate)
            say(f"{rate.used:.1f} % used, {rate.refused:.2f} % refused")


def run(options: argparse.Namespace) -> Result:
    """Measure in a cluster of its own."""
    machine.allow_descriptors(DESCRIPTORS)
    result = Result(about(options))
    with (
        tempfile.TemporaryDirectory(prefix="mcp-gateway-tuning-") as folder,
        running_cluster(nodes=1) as cluster,
    ):
        definition = custom_resource_definition()
        cluster.apply(definition)
        cluster.wait("crd", definition["metadata"]["name"], "condition=Established")
        try:
            asyncio.run(measured(cluster, options, Path(folder), result))
        except KeyboardInterrupt:
            say("interrupted: this is what there is")
    return result


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and keep what was asked to be kept."""
    options = arguments(argv)
    if options.merge:
        result = of_json(*(file.read_text(encoding="utf-8") for file in options.merge))
    else:
        result = run(options)
    print(as_json(result) if options.json else as_text(result))
    if options.save:
        for path in save(result, options.save):
            say(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
