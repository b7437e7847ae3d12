"""`python -m tests.perf.tuning_law`: the control law in virtual time, beside what else one does."""

from __future__ import annotations

import argparse
import statistics
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.perf.tuning_law.picture import draw
from tests.perf.tuning_law.run import Controller, Outcome, run
from tests.perf.tuning_law.scenario import ALL, Scenario

CONTROLLERS: tuple[Controller, ...] = ("law", "full", "split")


def main() -> None:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.perf.tuning_law", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="times each is run")
    parser.add_argument("--only", default=",".join(ALL), help=f"scenarios, of {','.join(ALL)}")
    parser.add_argument("--law", action="store_true", help="the law alone, no other controllers")
    parser.add_argument("--changes", action="store_true", help="show what people would be told")
    parser.add_argument("--draw", metavar="FILE", help="draw S2 with nothing stated, as SVG")
    options = parser.parse_args()
    if options.draw:
        Path(options.draw).write_text(picture(ALL["S2"].unknown()))
        return
    rows: list[tuple[Scenario, Controller]] = []
    for name in options.only.split(","):
        rows.append((ALL[name], "law"))
        if not (ALL[name].rpm or ALL[name].tpm):
            rows.append((ALL[name].unknown(), "law"))
        rows += [(ALL[name], one) for one in CONTROLLERS[1:] if not options.law]
    print(
        "| scenario | controller | % of the oracle | refused % | overload % "
        "| most in flight | over the cap | rate used % | grants/min |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(2) as pool:
        jobs = [
            [pool.submit(pair, scenario.name, one, seed) for seed in range(options.seeds)]
            for scenario, one in rows
        ]
        for (scenario, one), seeds in zip(rows, jobs, strict=True):
            found = [seed.result() for seed in seeds]
            print(line(scenario, one, found), flush=True)
            if options.changes and one == "law":
                for change in found[0][0].changes:
                    print(f"    {change.at:7.0f} s  {change}")


def picture(scenario: Scenario) -> str:
    """What the law did in one run of a scenario."""
    seen: dict[int, tuple[float, int, int]] = {}
    for point in run(scenario, "law", 0).curve:
        seen.setdefault(int(point[0] / 3), point)
    curve = list(seen.values())
    cap = [(at, scenario.cap(at)) for at, _, _ in curve]
    return draw(f"{scenario.name}: 4 pods, 90 offered", scenario.minutes, cap, curve)


def pair(name: str, controller: Controller, seed: int) -> tuple[Outcome, Outcome]:
    """A controller's run and the oracle's of the same requests."""
    of, _, learned = name.partition(" ")
    scenario = ALL[of].unknown() if learned else ALL[of]
    return run(scenario, controller, seed), run(scenario, "oracle", seed)


def line(scenario: Scenario, controller: str, found: list[tuple[Outcome, Outcome]]) -> str:
    """A row of the table, the mean of several seeds."""
    mean = statistics.mean
    part = mean(100.0 * one.answered / best.answered for one, best in found)
    used = ""
    minutes = scenario.minutes
    if scenario.rpm:
        used = (
            f"{mean(100 * (o.attempts - o.refused) / scenario.rpm / minutes for o, _ in found):.1f}"
        )
    if scenario.tpm:
        used = f"{mean(100 * o.begun_tokens / scenario.tpm / minutes for o, _ in found):.1f}"
    return (
        f"| {scenario.name} | {controller} | {part:.2f} "
        f"| {mean(one.refusal_percent for one, _ in found):.2f} "
        f"| {mean(100 * one.overloads / one.attempts for one, _ in found):.2f} "
        f"| {max(one.most for one, _ in found)} | {max(one.over for one, _ in found)} "
        f"| {used} | {mean(one.grants / scenario.minutes for one, _ in found):.1f} |"
    )


if __name__ == "__main__":
    main()
