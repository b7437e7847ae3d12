from __future__ import annotations

from typing import Any

import pytest

from mcp_gateway.api import MCPGateway
from mcp_gateway.config.partial import Partial
from mcp_gateway.config.problem import Path, spell


def broken(spec: dict[str, Any], *wrong: Path) -> list[str]:
    partial = Partial(wrong)
    partial.build(MCPGateway, {"spec": spec})
    return [spell((*loc, *found.reads[0])) for loc, found in partial.broken]


def provider(**fields: Any) -> dict[str, Any]:
    return {"name": "kimi", "type": "simulator", **fields}


BAD_POOL = {"minConnections": 3, "maxConnections": 2}


def test_what_is_right_breaks_no_rule() -> None:
    assert broken({"providers": [provider(prices={"a": {"input": 1, "output": 2}})]}) == []


def test_rules_of_every_level_are_judged_at_once() -> None:
    spec = {
        "auth": {"anonymous": True},
        "server": {"port": 9079},
        "providers": [provider(type="openai", pool=BAD_POOL)],
    }

    assert set(broken(spec)) == {
        "spec.auth.anonymous",
        "spec.server.adminPort",
        "spec.providers[0].endpoints",
        "spec.providers[0].pool.minConnections",
    }


@pytest.mark.parametrize(
    "wrong",
    [
        ("spec", "providers", 0, "pool", "minConnections"),
        ("spec", "providers", 0, "pool"),
        ("spec", "providers", 0),
        ("spec",),
    ],
)
def test_a_rule_that_reads_what_is_wrong_is_not_judged(wrong: Path) -> None:
    assert broken({"providers": [provider(pool=BAD_POOL)]}, wrong) == []


def test_a_rule_that_reads_a_list_with_something_wrong_in_it_is_not_judged() -> None:
    spec = {"providers": [provider(simulator={"failures": [{"kind": "stall", "ratio": 0.9}] * 2})]}
    place = ("spec", "providers", 0, "simulator", "failures")

    assert broken(spec) == [spell(place)]
    assert broken(spec, (*place, 1, "kind")) == []


def test_other_parts_are_judged_although_one_is_wrong() -> None:
    spec = {"providers": [provider(type=3), provider(pool=BAD_POOL)], "replicas": "many"}

    found = broken(spec, ("spec", "providers", 0, "type"), ("spec", "replicas"))

    assert found == ["spec.providers[1].pool.minConnections"]


def test_values_are_read_as_in_a_whole_document() -> None:
    spec = {"providers": [provider(timeouts={"firstByte": "2m", "total": "90s"})]}

    assert broken(spec) == ["spec.providers[0].timeouts.firstByte"]


def test_an_entry_by_name_may_be_wrong() -> None:
    spec = {"providers": [provider(prices={"a": {"input": -1}, "b": {"input": 1, "output": 1}})]}
    place = ("spec", "providers", 0, "prices", "a")

    assert broken(spec, place) == []
