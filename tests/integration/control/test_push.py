"""Configurations on their way to real gateway processes."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

import httpx
import pytest
from tests.integration.control.pods import (
    Pods,
    body,
    chat,
    metric,
    operator,
    simulated,
)
from tests.support.eventually import eventually

from mcp_gateway_operator.facts import Document

pytestmark = pytest.mark.integration


async def test_a_change_is_on_ten_pods_at_once(
    pods: Pods, record_property: Callable[[str, object], None]
) -> None:
    await pods.start(10, body(generation=1))
    took = []
    async with operator(pods) as leader:
        leader.assign(pods.target(Document(1, body())))
        await leader.until_all_run(1)
        for generation in range(2, 42):
            document = Document(generation, body(simulated(), simulated(f"extra-{generation}")))
            began = time.perf_counter()
            leader.assign(pods.target(document))
            await leader.until_all_run(generation)
            took.append(time.perf_counter() - began)
    for name, value in (
        ("median_ms", statistics.median(took) * 1e3),
        ("p99_ms", statistics.quantiles(took, n=100, method="inclusive")[98] * 1e3),
        ("longest_ms", max(took) * 1e3),
    ):
        record_property(name, round(value, 1))
        print(f"push to 10 pods, {name}: {value:.1f}")


async def test_a_refused_document_leaves_the_last_good_one_and_says_why(pods: Pods) -> None:
    (pod,) = await pods.start(1, body(generation=1))
    async with operator(pods) as leader:
        leader.assign(pods.target(Document(1, body())))
        await leader.until_all_run(1)
        wrong = body()
        wrong["spec"]["server"]["prot"] = 1
        leader.assign(pods.target(Document(2, wrong)))
        await eventually(lambda: leader.view.pods[pod.pod.name].refused == 2)

        config = leader.view.pods[pod.pod.name]
        assert config.generation == 1
        assert "spec.server.prot: unknown field" in config.problem
        assert "port" in config.problem
        assert await chat(pod) == 200
        assert await metric(pod, "mcp_gateway_config_refused_total") == 1.0

        leader.assign(pods.target(Document(3, body())))
        await leader.until_all_run(3)
        assert leader.view.pods[pod.pod.name].refused == 0


async def test_an_old_leader_that_wakes_up_changes_nothing(pods: Pods) -> None:
    (pod,) = await pods.start(1, body(generation=1))
    async with operator(pods) as new, operator(pods) as old:
        new.assign(pods.target(Document(4, body(simulated())), epoch=7))
        await new.until_all_run(4)
        old.assign(pods.target(Document(9, body(simulated("other"))), epoch=6))
        await eventually(lambda: old.view.pods[pod.pod.name].refused == 9)

        assert "leadership 6 has ended; 7 leads" in old.view.pods[pod.pod.name].problem
        assert new.all_run(4)
        assert await metric(pod, "mcp_gateway_config_generation") == 1.0  # the same document


async def test_a_generation_that_is_older_is_refused(pods: Pods) -> None:
    (pod,) = await pods.start(1, body(generation=8))
    async with operator(pods) as leader:
        leader.assign(pods.target(Document(5, body(simulated("other")))))
        await eventually(lambda: leader.view.pods[pod.pod.name].refused == 5)

        config = leader.view.pods[pod.pod.name]
        assert (config.generation, config.problem) == (
            8,
            "generation 5 is older than 8, which is here",
        )


async def test_a_pod_that_starts_late_reads_the_current_document_by_itself(pods: Pods) -> None:
    current = body(simulated(), simulated("second"), generation=3)
    async with operator(pods) as leader:
        await pods.start(1, current)
        leader.assign(pods.target(Document(3, current)))
        await leader.until_all_run(3)
        (late,) = await pods.start(1, current)
        leader.assign(pods.target(Document(3, current)))
        await leader.until_all_run(3)

        assert len(leader.view.pods) == 2
        assert await metric(late, "mcp_gateway_config_generation") == 1.0


async def test_a_pod_killed_during_a_push_comes_back_to_what_is_wanted(pods: Pods) -> None:
    first, second = await pods.start(2, body(generation=1))
    async with operator(pods) as leader:
        leader.assign(pods.target(Document(1, body())))
        await leader.until_all_run(1)
        first.child.process.kill()
        leader.assign(pods.target(Document(2, body(simulated(), simulated("second")))))
        await eventually(lambda: leader.view.pods[second.pod.name].generation == 2)
        await eventually(lambda: not leader.view.pods[first.pod.name].connected)
        first.child.stop()
        await pods.restart(first.pod.name, body(generation=1))
        await leader.until_all_run(2)


async def test_a_leader_that_takes_over_says_it_again_and_changes_nothing(pods: Pods) -> None:
    (pod,) = await pods.start(1, body(generation=1))
    for epoch in (1, 2, 3):
        async with operator(pods) as leader:
            leader.assign(pods.target(Document(2, body(simulated("other"))), epoch=epoch))
            await leader.until_all_run(2)
    assert await metric(pod, "mcp_gateway_config_generation") == 2.0


async def test_a_document_waits_for_its_secret(pods: Pods) -> None:
    (pod,) = await pods.start(1, body(generation=1))
    provider = {
        "name": "kimi",
        "type": "kimi",
        "endpoints": [{"url": "http://127.0.0.1:9/v1"}],
        "apiKey": {"secretRef": {"name": "kimi", "key": "api-key"}},
    }
    async with operator(pods) as leader:
        leader.assign(pods.target(Document(2, body(provider))))
        await eventually(lambda: leader.view.pods[pod.pod.name].refused == 2)
        assert "key api-key of Secret kimi" in leader.view.pods[pod.pod.name].problem

        (pods.folder / "secrets" / "kimi").mkdir()
        (pods.folder / "secrets" / "kimi" / "api-key").write_text("sk-1")
        await leader.until_all_run(2)


async def test_nobody_else_may_put_a_document(pods: Pods) -> None:
    (pod,) = await pods.start(1, body(generation=1))
    async with httpx.AsyncClient(trust_env=False, timeout=60.0) as http:
        answer = await http.put(f"{pod.admin}/config", content=json.dumps(body()))
    assert answer.status_code == 400
    assert "the document comes from the operator" in answer.text
