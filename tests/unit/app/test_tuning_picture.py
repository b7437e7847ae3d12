"""What people and Prometheus see of an operator's word."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.unit.app.test_granting import Pod, grant
from tests.unit.proxy.governed import NOW, Process, kimi

from mcp_gateway.api.quota import Quota
from mcp_gateway.app.tuning_picture import (
    limit_samples,
    operator_picture,
    operator_samples,
    tuning_picture,
)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_governed_provider_shows_its_rates_and_why_its_ceiling_moved() -> None:
    process = Process(kimi(concurrency=9, requestsPerMinute=60))
    process.grant(Quota(provider="kimi", share=4, requests_per_minute=30, ceiling=9, reason="a"))
    process.grant(Quota(provider="kimi", share=4, requests_per_minute=30, ceiling=5, reason="b"))
    picture = tuning_picture(process["kimi"], process.governor, now())
    assert json.loads(json.dumps(picture)) == picture
    assert (picture["standing"], picture["silent"]) == ("grant", False)
    assert picture["rates"] == {"requests": {"limit": 30, "used": 0, "waiting": 0}}
    (limit,) = picture["ceilings"]
    assert limit["ceiling"] == 5
    assert limit["changes"] == [
        {"at": NOW, "ceiling": 5, "reason": "b"},
        {"at": NOW, "ceiling": 9, "reason": "a"},
    ]
    samples = {
        (m.name, labels): value for m, labels, value in limit_samples(process["kimi"], now())
    }
    assert samples == {
        ("mcp_gateway_pool_share", ("kimi",)): 4.0,
        ("mcp_gateway_pool_warm", ("kimi",)): 0.0,
        ("mcp_gateway_rate_limit", ("kimi", "requests")): 30.0,
        ("mcp_gateway_rate_used", ("kimi", "requests")): 0.0,
    }


async def test_by_the_document_there_is_no_share() -> None:
    process = Process(mode="Off")
    assert list(limit_samples(process["kimi"], now())) == []
    assert tuning_picture(process["kimi"], process.governor, now())["ceilings"] == []


async def test_the_operator_is_shown_as_it_was_heard(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    told = operator_picture(pod.granting, pod.steering.epoch, now())
    assert told == {
        "connected": False,
        "epoch": 0,
        "sequence": 0,
        "heardSecondsAgo": None,
        "grantSecondsAgo": None,
    }
    pod.granting.channels(1)
    pod.granting.hear()
    await pod.granting.take(grant(3, 8, epoch=2))
    await asyncio.sleep(5.0)
    told = operator_picture(pod.granting, pod.steering.epoch, now())
    assert (told["connected"], told["epoch"], told["sequence"]) == (True, 2, 8)
    assert told["heardSecondsAgo"] == told["grantSecondsAgo"] == 5.0
    samples = {
        (m.name, *labels): value
        for m, labels, value in operator_samples(pod.granting, pod.process.governor, now())
    }
    assert samples["mcp_gateway_operator_connected",] == 1.0
    assert samples["mcp_gateway_operator_contact_age_seconds",] == 5.0
    assert samples["mcp_gateway_operator_grant_age_seconds",] == 5.0
    assert samples["mcp_gateway_tuning_accounts", "grant"] == 1.0
