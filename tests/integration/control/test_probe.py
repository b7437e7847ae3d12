"""Questions about providers: from one pod, and what their answers mean."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.control.pods import Pods, body, operator, simulated
from tests.support.eventually import eventually

from mcp_gateway.api import SimulatorSettings
from mcp_gateway.simulator import Simulator
from mcp_gateway.simulator.settings import compiled
from mcp_gateway_operator.facts import Document

pytestmark = pytest.mark.integration

NOBODY = "http://127.0.0.1:9/v1"


def provider(name: str, url: str, secret: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "kimi",
        "endpoints": [{"url": url}],
        "apiKey": {"secretRef": {"name": "keys", "key": secret}},
    }


async def test_one_pod_asks_and_says_what_it_found(pods: Pods) -> None:
    keys = pods.folder / "secrets" / "keys"
    keys.mkdir()
    (keys / "right").write_text("sk-right")
    (keys / "wrong").write_text("sk-wrong")
    account = Simulator(compiled(SimulatorSettings(wire="kimi"), frozenset({"sk-right"})))
    url = await account.start("127.0.0.1", 0)
    document = body(
        provider("good", url, "right"),
        provider("wrong-key", url, "wrong"),
        provider("old-model", url, "right"),
        provider("gone", NOBODY, "right"),
        simulated("practice"),
        generation=1,
    )
    document["spec"]["routes"] = [
        {"name": "all", "backends": [{"provider": "old-model", "model": "kimi-k0-retired"}]}
    ]
    await pods.start(3, document)
    async with operator(pods) as leader:
        leader.assign(pods.target(Document(1, document)))
        await eventually(lambda: len(leader.view.providers) == 5)
        found = {probed.provider: probed for probed in leader.view.providers}

    assert {name: probed.state for name, probed in found.items()} == {
        "good": "Healthy",
        "wrong-key": "CredentialRefused",
        "old-model": "ModelUnknown",
        "gone": "Unreachable",
        "practice": "Healthy",
    }
    assert "kimi-k0-retired" in found["old-model"].message
    assert "Connection refused" in found["gone"].message
    assert "sk-" not in str(found)
    # Of three pods one asked: a request for each provider that could be reached, and no more.
    assert account.stats()["requests"] <= 3
    await account.aclose()
