from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mcp_gateway.api import AccountLimits, ModelLimits, Pool, Provider, SimulatorSettings, Tuning
from mcp_gateway.api.provider import UNBOUNDED_POOL, Endpoint
from mcp_gateway.api.secret import SecretSource

KEY = SecretSource(env="KEY")
OFF, AUTO = Tuning(mode="Off"), Tuning(mode="Auto")


def simulated(**fields: Any) -> Provider:
    return Provider(name="p", type="simulator", **fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type": "openai"}, "type openai needs endpoints"),
        ({"type": "kimi"}, "need apiKey"),
        ({"type": "glm"}, "need apiKey"),
        ({"type": "kimi", "apiKey": KEY, "keyFormat": "jwt"}, "type glm only"),
        ({"type": "glm", "apiKey": KEY, "tier": "kimi-tier1"}, "for type kimi"),
        ({"type": "kimi", "apiKey": KEY, "simulator": {}}, "type simulator only"),
        ({"type": "simulator", "endpoints": [{"url": "http://a"}]}, "takes no endpoints"),
    ],
)
def test_what_belongs_together_is_asked_for(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Provider.model_validate({"name": "p", **fields})


def test_a_provider_at_another_address_may_need_no_key() -> None:
    provider = Provider(name="p", type="kimi", endpoints=[Endpoint(url="http://127.0.0.1:1/v1")])

    assert provider.api_key is None
    assert [e.url for e in provider.effective_endpoints()] == ["http://127.0.0.1:1/v1"]


@pytest.mark.parametrize(
    ("type_", "url"),
    [("kimi", "https://api.moonshot.ai/v1"), ("glm", "https://api.z.ai/api/paas/v4")],
)
def test_named_providers_have_addresses_of_their_own(type_: Any, url: str) -> None:
    provider = Provider(name="p", type=type_, api_key=KEY)

    assert [endpoint.url for endpoint in provider.effective_endpoints()] == [url]


def test_a_simulator_has_no_address_before_it_runs() -> None:
    assert simulated().effective_endpoints() == []


def test_a_simulator_speaks_the_wire_it_simulates() -> None:
    assert simulated().wire == "kimi"
    assert simulated(simulator=SimulatorSettings(wire="glm")).wire == "glm"
    assert Provider(name="p", type="glm", api_key=KEY).wire == "glm"


def test_limits_complete_the_tier() -> None:
    provider = simulated(tier="kimi-tier2", limits=AccountLimits(requests_per_minute=50))

    limits = provider.effective_limits()

    assert (limits.concurrency, limits.requests_per_minute) == (100, 50)
    assert simulated().effective_limits() == AccountLimits()


@pytest.mark.parametrize(
    ("fields", "tuning", "replicas", "caps"),
    [
        ({}, OFF, 1, (10, 20)),
        ({}, Tuning(mode="Recommend"), 1, (10, 20)),
        ({}, AUTO, 1, (UNBOUNDED_POOL, 0)),
        ({"pool": Pool(max_connections=7)}, OFF, 1, (7, 0)),
        ({"pool": Pool(max_connections=7, max_overflow=3)}, AUTO, 4, (7, 3)),
        ({"pool": Pool(max_overflow=3)}, OFF, 1, (10, 3)),
        ({"limits": AccountLimits(concurrency=50)}, OFF, 1, (50, 0)),
        ({"limits": AccountLimits(concurrency=50)}, OFF, 4, (12, 0)),
        ({"limits": AccountLimits(concurrency=1)}, OFF, 4, (1, 0)),
        ({"limits": AccountLimits(concurrency=50)}, AUTO, 4, (50, 0)),
        ({"tier": "kimi-tier2"}, OFF, 1, (100, 0)),
        ({"limits": AccountLimits(by_model={"a": ModelLimits(concurrency=30)})}, OFF, 1, (30, 20)),
        ({"limits": AccountLimits(by_model={"a": ModelLimits()})}, OFF, 1, (10, 20)),
    ],
)
def test_the_pools_caps(
    fields: dict[str, Any], tuning: Tuning, replicas: int, caps: tuple[int, int]
) -> None:
    assert simulated(**fields).pool_caps(tuning, replicas=replicas) == caps
