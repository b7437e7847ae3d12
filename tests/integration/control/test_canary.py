"""A candidate on one pod first: kept where it does no harm, taken back where it does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
from tests.integration.control.pods import (
    Operator,
    PodProcess,
    Pods,
    body,
    chat,
    operator,
    simulated,
)
from tests.support.eventually import eventually

from mcp_gateway.api import Canary, Rollout
from mcp_gateway_operator.facts import Document

pytestmark = pytest.mark.integration

CANARY = Rollout(strategy="Canary", canary=Canary(pods=1, window=2.0))
LONG = Rollout(strategy="Canary", canary=Canary(pods=1, window=60.0))
"""Nothing is promoted before it was judged, however slow the machine is."""
OLD = Document(1, body())


@contextlib.asynccontextmanager
async def traffic(*pods: PodProcess) -> AsyncIterator[None]:
    """Requests to every pod, all the time."""

    async def ask(pod: PodProcess) -> None:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await chat(pod)
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(ask(pod)) for pod in pods]
        yield
        for task in asking:
            task.cancel()


def generations(leader: Operator) -> list[int]:
    return sorted(pod.generation for pod in leader.view.pods.values())


async def test_a_good_candidate_is_promoted_after_its_window(pods: Pods) -> None:
    running = await pods.start(3, body(generation=1))
    new = Document(2, body(simulated(), simulated("second")))
    async with operator(pods) as leader, traffic(*running):
        leader.assign(pods.target(OLD, rollout=CANARY))
        await leader.until_all_run(1)
        leader.assign(pods.target(new, promoted=OLD, rollout=CANARY))
        await eventually(lambda: generations(leader) == [1, 1, 2])
        assert leader.view.promoted == 1
        await leader.until_all_run(2)
        assert (leader.view.promoted, leader.view.rejected) == (2, 0)


async def test_a_bad_candidate_is_taken_back_with_a_reason(pods: Pods) -> None:
    running = await pods.start(3, body(generation=1))
    failing = simulated(failures=[{"kind": "server", "ratio": 1.0}])
    async with operator(pods) as leader, traffic(*running):
        leader.assign(pods.target(OLD, rollout=LONG))
        await leader.until_all_run(1)
        leader.assign(pods.target(Document(2, body(failing)), promoted=OLD, rollout=LONG))
        await eventually(lambda: leader.view.rejected == 2)
        await leader.until_all_run(1)

        assert leader.view.promoted == 1
        assert "requests failed on web-" in leader.view.rejection
        assert "2.0% more" in leader.view.rejection
        # The same target again, as at every reconcile, tries nothing again.
        leader.assign(pods.target(Document(2, body(failing)), promoted=OLD, rollout=LONG))
        assert generations(leader) == [1, 1, 1]

        fixed = Document(3, body(simulated(), simulated("second")))
        leader.assign(pods.target(fixed, promoted=OLD, rollout=CANARY))
        await leader.until_all_run(3)


async def test_a_candidate_that_is_refused_is_taken_back_at_once(pods: Pods) -> None:
    await pods.start(2, body(generation=1))
    wrong = body()
    wrong["spec"]["nonsense"] = True
    async with operator(pods) as leader:
        leader.assign(pods.target(OLD, rollout=CANARY))
        await leader.until_all_run(1)
        leader.assign(pods.target(Document(2, wrong), promoted=OLD, rollout=CANARY))
        await eventually(lambda: leader.view.rejected == 2)

        assert "refused it: spec.nonsense: unknown field" in leader.view.rejection
        assert leader.all_run(1)


async def test_a_candidate_whose_pod_dies_is_taken_back(pods: Pods) -> None:
    running = await pods.start(2, body(generation=1))
    new = Document(2, body(simulated(), simulated("second")))
    async with operator(pods) as leader, traffic(*running):
        leader.assign(pods.target(OLD, rollout=LONG))
        await leader.until_all_run(1)
        leader.assign(pods.target(new, promoted=OLD, rollout=LONG))
        await eventually(lambda: generations(leader) == [1, 2])
        (tried,) = (name for name, pod in leader.view.pods.items() if pod.generation == 2)
        pods.running[tried].child.process.kill()
        pods.running[tried].child.stop()
        await pods.restart(tried, body(generation=1))
        await eventually(lambda: leader.view.rejected == 2)

        assert leader.view.rejection == f"pod {tried} restarted while it was tried there"
        await leader.until_all_run(1)
