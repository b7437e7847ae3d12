"""What is said about an object that is taken away."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.mcp_gateway_operator.scripted_cluster import ScriptedCluster

from mcp_gateway_operator.cluster import Forbidden, NotFound
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.reconcile.look import Look, Story
from mcp_gateway_operator.reconcile.store import Child, Store
from mcp_gateway_operator.reconcile.writer import Writer
from mcp_gateway_operator.render.kind import INGRESS

KEY = Key("n", "llm")
CHILD = Child(
    kind=INGRESS, name="llm", uid="i", version="1", generation=1, owner="u", deleting=False,
    applied="d", annotations={}, status=None, ours=b"",
)  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "told", "refused"),
    [
        ({}, ["Pruned"], []),
        (NotFound(404, "NotFound", "gone"), [], []),
        (Forbidden(403, "Forbidden", "no"), [], ["Ingress llm: no"]),
    ],
)
async def test_a_deletion_is_told_of_by_who_did_it(
    answer: Any, told: list[str], refused: list[str]
) -> None:
    stories: list[Story] = []
    cluster = ScriptedCluster(answer)
    writer = Writer(
        cluster, Store(lambda key: None), Metrics(), lambda key, uid, story: stories.append(story)
    )
    look = Look(KEY, "u")
    await writer.remove(CHILD, look)
    assert ([story.reason for story in stories], look.refused) == (told, refused)
    assert cluster.sent[0].body["preconditions"] == {"uid": "i"}
