"""What the operator is told of each limit."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.proxy.governed import Process, glm, kimi

from mcp_gateway.api.control import Report, read_up
from mcp_gateway.api.quota import MAX_LIMITS, LimitReport, Quota
from mcp_gateway.app.limit_reports import limit_reports, pulse


def told(process: Process) -> dict[tuple[str, str], LimitReport]:
    now = asyncio.get_running_loop().time()
    reports = limit_reports(process.accounts, now)
    sent = Report(requests=0, errors=0, since=1.0, limits=reports)
    heard = read_up(sent.encode())
    assert isinstance(heard, Report)
    return {(report.provider, report.model): report for report in heard.limits}


async def test_an_account_is_told_with_everything_that_counts() -> None:
    process = Process(kimi(concurrency=9, requestsPerMinute=60, tokensPerMinute=100))
    process.grant(Quota(provider="kimi", share=4, requests_per_minute=30, tokens_per_minute=50))
    lane = process.lane("kimi")
    lane.arrivals, lane.completions, lane.service_seconds, lane.in_flight = 10, 6, 42.0, 3
    lane.refusals = {"concurrency": 2, "overload": 1, "request": 5}
    lane.limit.refused(3)
    report = told(process)["kimi", ""]
    assert (report.share, report.limit, report.in_flight) == (4, 3, 3)
    assert (report.arrivals, report.completions, report.service_seconds) == (10, 6, 42.0)
    assert report.refusals == {"concurrency": 2, "overload": 1}
    assert report.in_flight_at_refusal == 3
    assert (report.requests_per_minute, report.tokens_per_minute) == (30, 50)
    assert report.account == process["kimi"].identity
    lane.in_flight = 0


async def test_models_are_told_where_the_provider_limits_them() -> None:
    stated = {"glm-5": {"concurrency": 30, "requestsPerMinute": 60}}
    process = Process(kimi(concurrency=9, byModel={"k2": {"concurrency": 3}}), glm(byModel=stated))
    process.lane("glm", "glm-4.6").arrivals = 2
    process.lane("glm", "glm-4.6").completions = 1
    found = told(process)
    assert set(found) == {("kimi", ""), ("glm", ""), ("glm", "glm-5"), ("glm", "glm-4.6")}
    assert found["glm", ""].share is None
    assert found["glm", "glm-5"].share == found["glm", "glm-5"].requests_per_minute == 0
    assert (found["glm", "glm-4.6"].share, found["glm", "glm-4.6"].arrivals) == (2, 2)
    assert found["glm", ""].completions == 1


async def test_without_an_operators_word_there_is_no_share() -> None:
    report = told(Process(mode="Off"))["kimi", ""]
    assert (report.share, report.limit) == (None, 25)


async def test_what_runs_on_a_former_key_is_told_under_the_former_account() -> None:
    process = Process()
    process.grant(Quota(provider="kimi", share=4))
    before = process["kimi"].identity
    sent = process["kimi"].at_provider
    identities = [sent.began("") for _ in range(3)]
    process.apply(kimi("sk-2"))
    (former,) = [r for name, r in told(process).items() if r.account == before]
    assert (former.share, former.in_flight) == (0, 3)
    assert former.provider not in {"kimi", "glm"}
    for identity in identities:
        sent.ended(identity, "")
    assert set(told(process)) == {("kimi", "")}


async def test_what_runs_on_an_account_that_was_removed_is_told_until_it_ends() -> None:
    process = Process(kimi(), glm())
    root = process.lane("kimi")
    account = process["kimi"].identity
    root.in_flight = 2
    process.apply(glm())
    (former,) = [r for r in told(process).values() if r.account == account]
    assert (former.share, former.in_flight) == (0, 2)
    root.in_flight = 0
    assert not [r for r in told(process).values() if r.account == account]


async def test_where_there_are_too_many_the_busiest_are_told() -> None:
    models: dict[str, Any] = {f"glm-{n}": {"concurrency": 3} for n in range(200)}
    process = Process(glm(byModel=models), {**glm(byModel=models), "name": "other", "type": "glm"})
    process.lane("other", "glm-199").in_flight = 3
    found = told(process)
    assert len(found) == MAX_LIMITS
    assert ("other", "glm-199") in found
    process.lane("other", "glm-199").in_flight = 0


async def test_numbers_beyond_all_bounds_are_cut() -> None:
    process = Process()
    process.grant(Quota(provider="kimi", share=2**53))
    assert told(process)["kimi", ""].share == 2**53


async def test_only_what_others_could_care_about_quickens_the_pulse() -> None:
    process = Process()
    accounts = process.accounts.live.values()
    idle = pulse(accounts)
    assert not idle.contended, "a pod without slots that is not asked is not contended"
    process.lane("kimi").arrivals += 1
    process.lane("kimi").completions += 1
    assert pulse(accounts) == idle
    process.grant(Quota(provider="kimi", share=2))
    granted = pulse(accounts)
    assert granted.state != idle.state
    process.lane("kimi").in_flight = 2
    assert pulse(accounts).contended
    process.lane("kimi").limit.refused(1)
    assert pulse(accounts).state != granted.state
    process.lane("kimi").in_flight = 0


async def test_the_end_of_the_last_request_above_a_share_is_worth_a_report() -> None:
    process = Process()
    process.grant(Quota(provider="kimi", share=0))
    lane = process.lane("kimi")
    lane.in_flight = 1
    drains = pulse(process.accounts.live.values())
    assert drains.contended
    lane.in_flight = 0
    drained = pulse(process.accounts.live.values())
    assert not drained.contended
    assert drained.state != drains.state


async def test_models_that_clients_make_up_take_no_place() -> None:
    process = Process(glm())
    lanes = process["glm"].pool.lanes
    for number in range(300):
        lanes.find(f"made-up-{number}", lambda _: 0)
    process.grant(*(Quota(provider=name, model=model) for name, model in told(process)))
    assert lanes.find("glm-5", lambda _: 0).name == "glm-5"
