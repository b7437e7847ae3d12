"""The result of the benchmark: tables for people, numbers for machines."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.perf.report import RESULTS, aligned
from tests.perf.tuning.play import CONTROLLERS, Run
from tests.perf.tuning.rates import Rate
from tests.perf.tuning.scenario import SCENARIOS

LEAST_GOODPUT = 98.5
MOST_REFUSED = 0.6
LEAST_USED = 97.0
MOST_RATE_REFUSED = 1.0
TUNED = frozenset(each.name for each in CONTROLLERS.values() if each.mode == "Auto")


@dataclass(slots=True)
class Result:
    """All runs."""

    about: dict[str, str]
    runs: list[Run] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)

    @property
    def missed(self) -> list[str]:
        """Goals that were not reached, in words."""
        found = []
        for runs in grouped(self.runs):
            name = f"{runs[0].scenario} {runs[0].controller}{churned(runs[0])}"
            if runs[0].controller not in TUNED:
                continue
            if (goodput := mean(runs, "goodput")) < LEAST_GOODPUT:
                found.append(f"{name}: {goodput:.1f} % of the best")
            if (refused := mean(runs, "refused_percent")) > MOST_REFUSED:
                found.append(f"{name}: {refused:.2f} % refused")
            if not runs[0].unknown and (over := sum(run.over for run in runs)):
                found.append(f"{name}: {over} attempts above the stated limit")
        for rate in self.rates:
            if rate.used < LEAST_USED or rate.refused > MOST_RATE_REFUSED:
                found.append(f"{rate.name}: {rate.used:.1f} % used, {rate.refused:.2f} % refused")
        return found


def churned(run: Run) -> str:
    """A word for a run's circumstances."""
    return ", with churn" if run.churn else ""


def grouped(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs that differ in the seed only, together."""
    groups: dict[tuple[str, str, bool], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.scenario, run.controller, run.churn), []).append(run)
    return list(groups.values())


def mean(runs: Sequence[Run], name: str) -> float:
    """The mean of an attribute."""
    return statistics.fmean(getattr(run, name) for run in runs)


SHOWN = ("given", "unknown", "full", "divided")
"""Controllers of the summary."""
HEADS = ["", "controller", "goodput", "refused", "most in flight", "attempts above", "p50", "p99"]


def rows(result: Result) -> list[list[str]]:
    """The cells of the table."""
    return [
        [
            runs[0].scenario,
            runs[0].controller + churned(runs[0]),
            f"{mean(runs, 'goodput'):.1f} %",
            f"{mean(runs, 'refused_percent'):.2f} %",
            f"{max(run.most for run in runs)} of {runs[0].stated}",
            "" if runs[0].unknown else str(sum(run.over for run in runs)),
            f"{mean(runs, 'p50'):.2f} s",
            f"{mean(runs, 'p99'):.2f} s",
        ]
        for runs in grouped(result.runs)
    ]


RATE_HEADS = ["bound by", "limit", "used", "refused"]


def rate_rows(result: Result) -> list[list[str]]:
    """The cells of the table of rates."""
    return [
        [each.name, f"{each.limit:,}", f"{each.used:.1f} %", f"{each.refused:.2f} %"]
        for each in result.rates
    ]


def as_text(result: Result) -> str:
    """Tables for a terminal."""
    lines = aligned(HEADS, rows(result)) if result.runs else []
    if result.rates:
        lines += ["", *aligned(RATE_HEADS, rate_rows(result))]
    return "\n".join([*lines, "", *(f"MISSED {each}" for each in result.missed)])


def _markdown(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *cells)]


def as_markdown(result: Result) -> str:
    """Tables for a reader of the repository."""
    about = ", ".join(f"{name} {value}" for name, value in result.about.items())
    lines = ["# Benchmark of the tuning", "", f"{about}.", ""]
    if result.runs:
        lines += [as_summary(result)]
        lines += _markdown(HEADS, rows(result))
        lines += [
            "",
            "Goodput is the part of what a single queue would have answered that knows the"
            " provider's cap at every instant, meets the same arrivals and service times, and"
            " loses the same work when a pod is killed. Refused: in a hundred attempts, for a"
            " limit; what the scenario itself refuses is not counted. Attempts above: those that"
            " the provider refused while it allowed what the document states. p50, p99: from a"
            " request to its answer, in seconds of this run.",
            "",
        ]
    if result.rates:
        lines += [*_markdown(RATE_HEADS, rate_rows(result)), ""]
    lines += [f"- MISSED {each}" for each in result.missed]
    return "\n".join(lines).rstrip() + "\n"


def as_summary(result: Result) -> str:
    """A row for each scenario: goodput and refusals of who matters most."""
    found = {
        (run[0].scenario, run[0].churn, run[0].controller): run for run in grouped(result.runs)
    }
    shown = [CONTROLLERS[name].name for name in SHOWN]
    lines = []
    for churn in (False, True):
        for scenario in SCENARIOS.values():
            runs = [found.get((scenario.name, churn, name)) for name in shown]
            if any(runs):
                title = f"{scenario.name}: {scenario.title}{', with churn' if churn else ''}"
                lines.append([title, *map(_both, runs)])
    return "\n".join(_markdown(["goodput · refused", *shown], lines)) + "\n"


def _both(runs: Sequence[Run] | None) -> str:
    if runs is None:
        return ""
    return f"{mean(runs, 'goodput'):.1f} % · {mean(runs, 'refused_percent'):.1f} %"


def as_json(result: Result) -> str:
    """All numbers."""
    tree = dataclasses.asdict(result)
    for kept, run in zip(tree["runs"], result.runs, strict=True):
        del kept["samples"]  # the pictures have them
        kept["goodput"] = round(run.goodput, 2)
    return json.dumps(tree, indent=1, ensure_ascii=False) + "\n"


def of_json(*texts: str) -> Result:
    """Put results together that were measured apart, as if it had been at once."""
    trees = [json.loads(text) for text in texts]
    runs = [
        Run(**{name: value for name, value in run.items() if name != "goodput"})
        for tree in trees
        for run in tree["runs"]
    ]
    names = [controller.name for controller in CONTROLLERS.values()]
    runs.sort(key=lambda run: (run.churn, run.scenario, names.index(run.controller)))
    measured = [Rate(**rate) for tree in trees for rate in tree["rates"]]
    return Result(trees[0]["about"], runs, measured)


def save(result: Result, name: str) -> list[Path]:
    """Write `results/tuning-<name>.json` and `.md`, and return both."""
    RESULTS.mkdir(exist_ok=True)
    written = [RESULTS / f"tuning-{name}.json", RESULTS / f"tuning-{name}.md"]
    written[0].write_text(as_json(result), encoding="utf-8")
    written[1].write_text(as_markdown(result), encoding="utf-8")
    return written
