"""What is to be done about one object."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_gateway_operator.cluster.item import ManagedFields
from mcp_gateway_operator.reconcile.decide import Action, decide, identity, unwanted
from mcp_gateway_operator.reconcile.store import Child
from mcp_gateway_operator.render.gateway import APPLIED
from mcp_gateway_operator.render.kind import HTTP_ROUTE, SERVICE

RENDERED = {"kind": "Service", "metadata": {"name": "llm", "annotations": {APPLIED: "d1"}}}


def child(**more: Any) -> Child:
    known: dict[str, Any] = {
        "kind": SERVICE, "name": "llm", "uid": "u", "version": "1", "generation": 1,
        "owner": "me", "deleting": False, "applied": "d1", "annotations": {}, "status": None,
        "ours": b"x", "settled": b"x",
    }  # fmt: skip
    return Child(**known | more)


@pytest.mark.parametrize(
    ("seen", "action"),
    [
        (None, Action.CREATE),
        (child(), Action.KEEP),
        (child(applied="d0"), Action.CHANGE),
        (child(settled=b"y"), Action.REPAIR),
        (child(settled=None), Action.REPAIR),
        (child(owner=""), Action.REPAIR),
        (child(applied="d0", settled=b"y", found=[ManagedFields()]), Action.REPAIR),
        (child(deleting=True), Action.WAIT),
        (child(owner="former"), Action.WAIT),
    ],
)
def test_what_is_leads_to_what_is_done(seen: Child | None, action: Action) -> None:
    assert decide(RENDERED, seen, "me") is action


def test_only_what_is_ours_and_here_to_stay_is_unwanted() -> None:
    children = {
        ("Service", "keep"): child(name="keep"),
        ("Service", "drop"): child(name="drop"),
        ("Service", "theirs"): child(name="theirs", owner="other"),
        ("Service", "going"): child(name="going", deleting=True),
    }
    found = unwanted(children, {("Service", "keep")}, "me", ())
    assert [each.name for each in found] == ["drop"]


def test_what_is_not_rendered_because_its_api_is_away_stays() -> None:
    route = child(kind=HTTP_ROUTE)
    children = {("HTTPRoute", "llm"): route}
    assert unwanted(children, (), "me", ["ScaledObject"]) == []
    assert unwanted(children, (), "me", ["HTTPRoute"]) == [route]


def test_an_object_is_known_by_kind_and_name() -> None:
    assert identity(RENDERED) == ("Service", "llm")
