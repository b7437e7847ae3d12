from __future__ import annotations

import statistics

from mcp_gateway.simulator.law import Law
from mcp_gateway.simulator.settings import Failure, FailureKind, Latency, LogNormal, Settings

LAW = Settings(
    latency=Latency(first_token=LogNormal(0.8, 0.5), per_token=LogNormal(0.02)),
    answer_tokens=LogNormal(200.0, 0.9),
    longest_answer=1000,
    failures=(Failure(FailureKind.OVERLOAD, 0.1), Failure(FailureKind.STALL, 0.05)),
    seed=3,
)


def draws(settings: Settings) -> list[object]:
    law = Law(settings)
    return [(law.tokens(), law.first_token(), law.failure()) for _ in range(50)]


def test_the_same_seed_gives_the_same_draws() -> None:
    assert draws(LAW) == draws(LAW)


def test_another_seed_gives_others() -> None:
    assert draws(LAW) != draws(Settings(latency=LAW.latency, seed=4))


def test_failures_leave_the_times_as_they_were() -> None:
    with_failures, without = Law(LAW), Law(Settings(latency=LAW.latency, seed=3))
    for _ in range(20):
        with_failures.failure()
        without.failure()
        assert with_failures.first_token() == without.first_token()


def test_refusals_leave_the_times_as_they_were() -> None:
    latency = Latency(LAW.latency.first_token, refusal=LogNormal(0.1, 0.3))
    with_refusals, without = Law(Settings(latency=latency)), Law(Settings(latency=latency))
    for _ in range(20):
        assert with_refusals.refusal() > 0.0
        assert with_refusals.first_token() == without.first_token()


def test_draws_follow_their_laws() -> None:
    law = Law(LAW)
    lengths = [law.tokens() for _ in range(4000)]
    assert 185 < statistics.median(lengths) < 215
    assert max(lengths) == 1000
    assert min(lengths) >= 1
    assert 0.77 < statistics.median(law.first_token() for _ in range(4000)) < 0.83
    kinds = [law.failure() for _ in range(4000)]
    assert 340 < kinds.count(FailureKind.OVERLOAD) < 460
    assert 150 < kinds.count(FailureKind.STALL) < 250


def test_no_spread_is_the_median_always_and_no_median_is_nothing() -> None:
    law = Law(LAW)
    assert {law.per_token() for _ in range(5)} == {0.02}
    assert law.refusal() == 0.0
