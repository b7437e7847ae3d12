"""The reference of the tuning's benchmark, its goals and its pictures."""

from __future__ import annotations

from xml.etree import ElementTree

from tests.perf.tuning.picture import draw
from tests.perf.tuning.play import CONTROLLERS, Run, Sample
from tests.perf.tuning.rates import Rate
from tests.perf.tuning.reference import Kill, best
from tests.perf.tuning.scenario import LENGTH, MEAN, SCENARIOS, Pace, arrivals
from tests.perf.tuning.table import Result, as_json, as_markdown, as_text, of_json

TENTH = Pace(scale=12.0, part=0.1)
GIVEN = CONTROLLERS["given"].name
SVG = "{http://www.w3.org/2000/svg}"


def run(**numbers: object) -> Run:
    made = Run("S1", GIVEN, False, 15.0, best=1000, answered=990, attempts=1000, stated=100)
    for name, value in numbers.items():
        setattr(made, name, value)
    return made


def test_requests_come_as_often_as_is_offered() -> None:
    moments = list(arrivals(SCENARIOS["S4"], Pace(), seed=1))
    calm = sum(moment < 50.0 for moment in moments)
    burst = sum(50.0 <= moment < 1000.0 / 12.0 for moment in moments)
    assert 0.85 < calm / (600.0 * 10 / MEAN) < 1.15
    assert 0.95 < burst / (400.0 * 90 / MEAN) < 1.05
    assert moments == sorted(moments)
    assert moments == list(arrivals(SCENARIOS["S4"], Pace(), seed=1))


def test_the_best_is_bound_by_the_cap_where_there_is_too_much() -> None:
    found = best(SCENARIOS["S1"], Pace(), seed=1)
    assert 0.95 < found.answered / (LENGTH * 100 / MEAN) < 1.05
    assert found.failed > 0
    assert found.refused == 0


def test_the_best_answers_everything_where_there_is_enough() -> None:
    found = best(SCENARIOS["S3"], Pace(), seed=1)
    assert found.failed == 0
    assert found.offered - found.answered < 200  # those that were under way at the end


def test_the_best_meets_the_providers_own_refusals() -> None:
    found = best(SCENARIOS["S5"], Pace(), seed=1)
    assert 0.01 < found.refused / found.attempts < 0.025


def test_the_best_loses_the_work_of_killed_pods() -> None:
    kills = [Kill(float(second), second % 4, 4) for second in range(1, 14)]
    assert (
        best(SCENARIOS["S1"], TENTH, 1, kills).answered < best(SCENARIOS["S1"], TENTH, 1).answered
    )


def test_goals_that_are_missed_are_said() -> None:
    good = Result({"machine": "any"}, [run()], [Rate("requests per minute", 600, 98.0, 0.1)])
    assert good.missed == []
    bad = Result(
        {"machine": "any"},
        [run(answered=900), run(churn=True, refused=50, over=3),
         run(controller=CONTROLLERS["full"].name, answered=1)],
        [Rate("tokens per minute", 600, 90.0, 0.1)],
    )  # fmt: skip
    assert bad.missed == [
        f"S1 {GIVEN}: 90.0 % of the best",
        f"S1 {GIVEN}, with churn: 5.00 % refused",
        f"S1 {GIVEN}, with churn: 3 attempts above the stated limit",
        "tokens per minute: 90.0 % used, 0.10 % refused",
    ]
    assert "MISSED S1" in as_text(bad)
    assert "| S1 | tuned, limit given | 90.0 % |" in as_markdown(bad)
    assert '"goodput": 90.0' in as_json(bad)
    assert of_json(as_json(Result({})), as_json(bad)).missed == bad.missed


def test_a_picture_has_a_curve_for_what_is_known() -> None:
    samples = [Sample(at / 4, 100, at, ceiling=100.0, granted=99.0) for at in range(60)]
    drawn = draw(run(samples=samples), 12.0)
    tree = ElementTree.fromstring(drawn)  # noqa: S314 - we have just written it
    assert len(tree.findall(f"{SVG}polyline")) == 4
    words = [each.text for each in tree.findall(f"{SVG}text")]
    assert "minutes of the scenario, played 12 times as fast" in words
    assert "waiting" in words
