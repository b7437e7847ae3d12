"""Connections worth keeping: what demand needs, of the last minutes."""

from __future__ import annotations

from mcp_gateway.api.quota import LimitReport
from mcp_gateway_operator.tuning.recommend import recommend
from mcp_gateway_operator.tuning.warm import Flow, staffing


def report(arrivals: int, completions: int, seconds: float) -> LimitReport:
    return LimitReport(
        provider="kimi", arrivals=arrivals, completions=completions, service_seconds=seconds
    )


def busy(flow: Flow, start: float, seconds: int) -> None:
    for n in range(seconds):
        flow.hear(start + n, report(2 * n, 2 * n, 14.0 * n))


def test_square_root_staffing() -> None:
    assert staffing(0.0) == 0
    assert staffing(14.0) == 21
    assert staffing(100.0) == 117


def test_the_most_is_kept_for_five_minutes_and_then_let_go() -> None:
    flow = Flow(15.0, 300.0)
    busy(flow, 0.0, 60)
    assert flow.warm(60.0, 100) in range(19, 22)
    assert flow.warm(300.0, 100) in range(19, 22)
    assert flow.warm(700.0, 100) == 0


def test_never_more_than_the_share() -> None:
    flow = Flow(15.0, 300.0)
    busy(flow, 0.0, 60)
    assert flow.warm(60.0, 5) == 5


def test_counts_that_go_backward_say_nothing() -> None:
    flow = Flow(15.0, 300.0)
    busy(flow, 0.0, 60)
    before = (flow.rate, flow.service)
    flow.hear(60.0, report(0, 0, 0.0))
    assert (flow.rate, flow.service) == before


def test_a_recommendation_says_what_demand_needs_and_what_may_be_had() -> None:
    found = recommend(rate=10.0, service=7.0, ceiling=50, known=True, waiting=12, pods=4)
    assert (found.lower, found.target, found.upper) == (50, 50, 50)
    assert found.reason == (
        "10.0 requests/s of 7.0 s each need 84 in flight; the provider allows 50, so some wait;"
        " 12 wait now"
    )
    unknown = recommend(rate=10.0, service=7.0, ceiling=8, known=False, waiting=0, pods=4)
    assert (unknown.lower, unknown.target, unknown.upper) == (84, 84, None)
