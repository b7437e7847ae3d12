"""Who set which field."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from mcp_gateway_operator.cluster.item import ManagedFields
from mcp_gateway_operator.reconcile import fields
from mcp_gateway_operator.render.gateway import MANAGER

OURS: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:a": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}}},
        "f:finalizers": {'v:"x"': {}},
    },
}


def entry(tree: dict[str, Any], manager: str = MANAGER, **more: str) -> ManagedFields:
    operation = more.pop("operation", "Apply" if manager == MANAGER else "Update")
    return ManagedFields(
        manager=manager, operation=operation, fields=msgspec.Raw(json.dumps(tree).encode()), **more
    )


def without_replicas() -> dict[str, Any]:
    spec = {name: below for name, below in OURS["f:spec"].items() if name != "f:replicas"}
    return {**OURS, "f:spec": spec}


def test_only_our_applied_fields_count() -> None:
    assert fields.ours([entry(OURS)]) == fields.ours(
        [entry(OURS), entry({}, "kubectl"), entry(OURS, subresource="status")]
    )
    assert fields.ours([entry(OURS)]) != fields.ours([entry(without_replicas())])
    assert fields.ours([entry(OURS, operation="Update")]) == b""


def test_the_taker_of_a_field_is_named() -> None:
    replicas: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    before = [entry(without_replicas(), time="1"), entry(replicas, "kubectl", subresource="scale")]
    assert fields.takers([entry(OURS)], before) == {"kubectl": ["spec.replicas"]}


def test_what_was_taken_out_is_filed_under_who_wrote_last() -> None:
    before = [
        entry(without_replicas(), time="1"),
        entry({}, "early", time="2"),
        entry({}, "late", time="3"),
    ]
    assert fields.takers([entry(OURS)], before) == {"late": ["spec.replicas"]}
    assert fields.takers([entry(OURS)], before[:1]) == {"an unknown manager": ["spec.replicas"]}


def test_items_of_lists_are_told_by_their_keys() -> None:
    found = fields.takers([entry(OURS)], [])["an unknown manager"]
    assert "spec.ports.[80,TCP].name" in found
    assert 'spec.finalizers."x"' in found


def test_whoever_wrote_no_earlier_than_we_may_have_touched() -> None:
    ours = entry(OURS, time="2026-01-01T00:00:05Z")
    assert not fields.maybe_touched([ours])
    assert not fields.maybe_touched([ours, entry({}, "x", time="2026-01-01T00:00:04Z")])
    assert fields.maybe_touched([ours, entry({}, "x", time="2026-01-01T00:00:05Z")])
    assert fields.maybe_touched([ours, entry({}, "x", subresource="scale")])
    assert not fields.maybe_touched(
        [ours, entry({}, "x", subresource="status", time="2026-01-01T00:00:09Z")]
    )
    assert fields.maybe_touched([])
