from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import re2
import yaml
from pydantic import ValidationError

from mcp_gateway.api import MCPGateway
from mcp_gateway.api.mcp_yaml import is_mcp_yaml, translate

SAMPLE = Path(__file__).parents[3] / "manifests" / "samples" / "mcp.yaml"


def read(data: dict[str, Any]) -> MCPGateway:
    return translate(data).document


def original() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(SAMPLE.read_text(encoding="utf-8"))
    return data


def test_the_original_file_is_read_as_it_is() -> None:
    spec = read(original()).spec

    assert spec.server.host == "0.0.0.0"  # noqa: S104
    assert (spec.server.port, spec.server.websocket) == (8079, True)
    kimi, glm = spec.providers
    assert (kimi.name, kimi.type, glm.name, glm.type) == ("kimi", "kimi", "glm", "glm")
    assert (kimi.pool.min_connections, kimi.pool.max_connections) == (2, 10)
    assert (glm.pool.min_connections, glm.pool.max_connections) == (1, 5)
    assert (kimi.pool.idle_timeout, glm.pool.idle_timeout) == (30.0, 45.0)
    assert spec.middleware == ["auth", "rate_limit", "logging"]
    assert (spec.retry.max_retries, spec.retry.backoff_factor) == (3, 0.5)
    assert spec.routes == []
    assert not spec.auth.anonymous


def test_keys_come_from_variables() -> None:
    kimi, glm = read(original()).spec.providers

    assert kimi.api_key is not None
    assert glm.api_key is not None
    assert (kimi.api_key.env, glm.api_key.env) == ("KIMI_API_KEY", "GLM_API_KEY")


def test_a_pool_that_says_nothing_has_the_originals_caps() -> None:
    spec = read({"mcp": {"connection_pool": {"kimi": {}}}}).spec

    assert spec.providers[0].pool_caps(spec.tuning) == (10, 20)


def test_a_maximum_is_a_maximum() -> None:
    spec = read(original()).spec

    assert spec.providers[0].pool_caps(spec.tuning) == (10, 0)


def test_overflow_is_the_originals() -> None:
    pool = {"max_connections": 10, "max_overflow": 20, "idle_timeout": None}
    spec = read({"mcp": {"connection_pool": {"kimi": pool}}}).spec

    assert spec.providers[0].pool_caps(spec.tuning) == (10, 20)
    assert spec.providers[0].pool.idle_timeout == 30.0


def test_a_strategy_is_that_of_every_route() -> None:
    data = original()
    data["mcp"]["routing"]["strategy"] = "least_connections"

    routes = read(data).spec.routes

    assert [route.name for route in routes] == ["kimi", "glm", "kimi-family", "glm-family"]
    assert {route.strategy for route in routes} == {"least_connections"}


def test_routes_match_from_the_start_as_re_match_did() -> None:
    data = original()
    data["mcp"]["routing"]["routes"] = {"kimi|moon": "kimi", "glm": "glm"}

    first, second, *implied = read(data).spec.routes

    assert first.match.model is not None
    for model in ("kimi", "kimi-k2", "moonshot-v1"):
        assert re2.fullmatch(first.match.model, model)
    assert not re2.fullmatch(first.match.model, "my-kimi")
    assert [first.backends[0].provider, second.backends[0].provider] == ["kimi", "glm"]
    assert len(implied) == 4


def test_each_part_knows_where_it_comes_from() -> None:
    sources = translate(original()).sources

    assert sources["spec", "server", "port"] == ("mcp", "server", "port")
    assert sources["spec", "providers", 1, "pool", "idleTimeout"] == (
        "mcp",
        "connection_pool",
        "glm",
        "idle_timeout",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"connection_pool": {"openai": {}}}, "connection_pool"),
        ({"connection_pool": {}}, "connection_pool"),
        ({"connection_pool": {"kimi": {"min_connections": 3, "max_connections": 2}}}, "at most"),
        ({"routing": {"strategy": "random"}}, "strategy"),
        ({"routing": {"middleware": ["logging"]}}, "without the auth layer"),
        ({"routing": {"routes": {"(": "kimi"}}}, "RE2"),
        ({"server": {"protocol": "grpc"}}, "protocol"),
        ({"retry": {"max_retries": "3"}}, "max_retries"),
        ({"cache": {}}, "cache"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        read({"mcp": {**original()["mcp"], **change}})


def test_a_route_leads_to_a_provider_with_a_pool() -> None:
    data = {"mcp": {"connection_pool": {"kimi": {}}, "routing": {"routes": {"glm": "glm"}}}}

    with pytest.raises(ValidationError, match="every route must lead to a provider"):
        read(data)


def test_the_form_is_told_by_its_one_key() -> None:
    assert is_mcp_yaml(original())
    assert not is_mcp_yaml({"mcp": {}, "kind": "MCPGateway"})
    assert not is_mcp_yaml({"spec": {}})
    assert not is_mcp_yaml(["mcp"])
