"""Grants on their way to real gateway processes, and what those report."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import httpx
import pytest
from tests.integration.control.leader import leader, limit
from tests.integration.control.pods import PodProcess, Pods, body, chat, simulated

from mcp_gateway.api.control import Grant, Pong
from mcp_gateway.api.quota import Quota

pytestmark = pytest.mark.integration

SLOW: dict[str, Any] = {"latency": {"firstToken": {"median": "1500ms", "sigma": 0.0}}}


def auto(concurrency: int = 10, mode: str = "Auto", **settings: Any) -> dict[str, Any]:
    provider = {**simulated(**settings), "limits": {"concurrency": concurrency}}
    return body(provider, tuning={"mode": mode}, retry={"maxRetries": 0})


def kimi(share: int, **more: Any) -> Quota:
    return Quota(provider="kimi", share=share, **more)


async def put_limits(pod: PodProcess) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as http:
        update = {"providers": {"kimi": {"share": 5}}}
        return await http.put(f"{pod.admin}/limits", json=update)


async def test_nothing_is_sent_before_a_grant_and_what_waits_is_served_by_it(pods: Pods) -> None:
    (pod,) = await pods.start(1, auto())
    async with leader(pods, pod) as operator:
        first = limit(await operator.report())
        assert (first.share, first.limit, first.in_flight) == (0, 0, 0)
        waiting = asyncio.create_task(chat(pod))
        told = limit(await operator.report(lambda told: limit(told).waiting == 1))
        assert told.in_flight == 0
        answer = await operator.grant(1, kimi(2))
        assert limit(answer).share == limit(answer).limit == 2
        assert limit(answer).account == first.account
        assert await waiting == 200
        done = limit(await operator.report(lambda told: limit(told).completions == 1))
        assert (done.arrivals, done.in_flight, done.waiting) == (1, 0, 0)
        assert done.wait_p99 > 0.0


async def test_what_is_in_flight_ends_when_the_share_shrinks(pods: Pods) -> None:
    (pod,) = await pods.start(1, auto(**SLOW))
    async with leader(pods, pod) as operator:
        await operator.grant(1, kimi(3))
        chats = [asyncio.create_task(chat(pod)) for _ in range(3)]
        await operator.report(lambda told: limit(told).in_flight == 3)
        answer = limit(await operator.grant(2, kimi(1)))
        assert (answer.share, answer.in_flight) == (1, 3)
        chats += [asyncio.create_task(chat(pod)) for _ in range(2)]
        told = limit(await operator.report(lambda told: limit(told).in_flight <= 1))
        assert told.waiting == 1
        assert await asyncio.gather(*chats) == [200] * 5


async def test_a_grant_of_former_times_is_not_answered(pods: Pods) -> None:
    (pod,) = await pods.start(1, auto())
    async with leader(pods, pod) as new, leader(pods, pod) as old:
        await new.grant(5, kimi(2), epoch=7)
        await old.report(lambda told: told.epoch == 7)
        await old.say(Grant(epoch=6, sequence=99, quotas=[kimi(9)]))
        await old.say(Grant(epoch=7, sequence=5, quotas=[kimi(9)]))
        heard = await old.answers()
        assert isinstance(heard[-1], Pong)
        assert limit(await new.grant(6, kimi(3), epoch=7)).share == 3


async def test_a_container_that_was_killed_goes_on_with_its_grant(pods: Pods) -> None:
    (pod,) = await pods.start(1, auto())
    async with leader(pods, pod) as operator:
        await operator.grant(4, kimi(2), epoch=3)
    pod.child.stop(5.0, signal.SIGKILL)
    again = await pods.restart(pod.pod.name, auto())
    async with leader(pods, again) as operator:
        told = await operator.report()
        assert operator.hello is not None
        assert operator.hello.epoch == 3
        assert (told.epoch, told.sequence, limit(told).share) == (3, 4, 2)
        assert await chat(again) == 200


async def test_off_means_the_documents_numbers_at_once(pods: Pods) -> None:
    (pod,) = await pods.start(1, auto())
    async with leader(pods, pod) as operator:
        await operator.grant(1, kimi(0))
        refused = await put_limits(pod)
        assert refused.status_code == 400
        assert "divided by the operator" in refused.text
        waiting = asyncio.create_task(chat(pod))
        await operator.report(lambda told: limit(told).waiting == 1)
        await operator.apply(2, auto(mode="Off"))
        assert await waiting == 200
        told = limit(await operator.report(lambda told: limit(told).completions == 1))
        assert (told.share, told.limit) == (None, 10)
        assert (await put_limits(pod)).status_code == 200


async def test_an_idle_pod_says_nothing_but_that_it_is_there(pods: Pods) -> None:
    (pod,) = await pods.start(1, auto())
    async with leader(pods, pod) as operator:
        await operator.grant(1, kimi(2), every=0.01)
        for _ in range(3):
            assert [type(each) for each in await operator.answers()] == [Pong]


async def test_requests_wait_for_their_rate_without_a_connection(pods: Pods) -> None:
    (pod,) = await pods.start(1, auto())
    async with leader(pods, pod) as operator:
        await operator.grant(1, kimi(5, requests_per_minute=0))
        waiting = asyncio.create_task(chat(pod))
        told = limit(await operator.report(lambda told: limit(told).rate_waiting == 1))
        assert (told.in_flight, told.waiting, told.requests_per_minute) == (0, 0, 0)
        await operator.grant(2, kimi(5, requests_per_minute=60))
        assert await waiting == 200
        told = limit(await operator.report(lambda told: limit(told).completions == 1))
        assert (told.requests_in_window, told.rate_waiting) == (1, 0)
