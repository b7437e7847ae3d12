"""Short versions of the scenarios, in virtual time: the account stays full and is not overrun."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.perf.tuning_law.run import Outcome, run
from tests.perf.tuning_law.scenario import ALL, CHURN, S1, S2, S3, S4, S5, TPM, Scenario

TIMES = 4.0
"""How many times as short: what happens at minute 10 happens at 2:30. Requests take as long."""


def goodput(scenario: Scenario, outcome: Outcome, seed: int = 0) -> float:
    return outcome.answered / run(scenario, "oracle", seed).answered


@pytest.mark.parametrize("scenario", [S1, S3, S4, S5], ids=lambda one: one.name)
def test_a_stated_limit_is_used_in_full_and_never_overrun(scenario: Scenario) -> None:
    short = scenario.short(TIMES)
    outcome = run(short, "law", 0)
    assert goodput(short, outcome) >= 0.985
    assert outcome.refused == 0
    assert outcome.over == 0


def test_a_lowered_limit_is_met_and_its_return_is_found() -> None:
    short = S2.short(2.0)
    outcome = run(short, "law", 0)
    assert goodput(short, outcome) >= 0.98
    # The drop itself costs a refusal for each slot that is gone: more, in a shorter time.
    assert outcome.refusal_percent <= 1.2
    assert outcome.most <= 100


@pytest.mark.parametrize("scenario", [S1, S4], ids=lambda one: one.name)
def test_an_unknown_limit_is_learned_with_few_refusals(scenario: Scenario) -> None:
    short = scenario.unknown().short(2.0)
    outcome = run(short, "law", 0)
    assert goodput(short, outcome) >= 0.985
    assert outcome.refusal_percent <= 0.6
    assert outcome.over <= 1


def test_pods_that_come_and_go_and_an_operator_that_dies_never_overrun_it() -> None:
    short = replace(CHURN, minutes=10.0, events=tuple(e for e in CHURN.events if e[0] < 600))
    outcome = run(short, "law", 0)
    assert goodput(short, outcome) >= 0.975
    assert outcome.refused == 0
    assert outcome.over == 0


@pytest.mark.parametrize("name", ["RPM", "TPM"])
def test_a_rate_is_used_in_full_and_never_overrun(name: str) -> None:
    short = replace(ALL[name], minutes=10.0)
    outcome = run(short, "law", 0)
    limit = short.tpm or short.rpm or 0
    used = outcome.begun_tokens if name == TPM.name else outcome.attempts
    assert used >= 0.97 * limit * short.minutes
    assert outcome.refused == 0


def test_one_slot_and_eight_pods_serve_everybody_through_one_pod() -> None:
    lone = replace(
        S1, name="lone", pods=8, stated=1, cap=lambda _: 1, offered=lambda _: 1.5, minutes=10.0
    )
    outcome = run(lone, "law", 0)
    assert goodput(lone, outcome) >= 0.985
    assert outcome.over == 0
    assert outcome.grants <= 8 * 4, "the slot wandered"
