"""A sink is told of all there is, whatever happens to lists and watches."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.mcp_gateway_operator.scripted_cluster import ScriptedCluster

from mcp_gateway_operator.cluster import NotFound, Reflector, Unreachable
from mcp_gateway_operator.cluster.item import Item, Partial
from mcp_gateway_operator.cluster.reflector import ABSENT
from mcp_gateway_operator.render.kind import HTTP_ROUTE, SERVICE, Kind

GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}


class Told:
    """Takes note of what it is told."""

    def __init__(self) -> None:
        self.story: list[str] = []

    def seen(self, kind: Kind, item: Item) -> None:
        self.story.append(f"seen {item.metadata.name}")

    def gone(self, kind: Kind, item: Item) -> None:
        self.story.append(f"gone {item.metadata.name}")

    def listed(self, kind: Kind, namespace: str | None, names: set[tuple[str, str]]) -> None:
        self.story.append("listed " + ",".join(sorted(name for _, name in names)))

    def present(self, kind: Kind, there: bool) -> None:
        if not there:
            self.story.append("absent")


def thing(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "n", "resourceVersion": str(version)}}


def page(version: int, *names: str, more: str = "") -> dict[str, Any]:
    items = [thing(name, version) for name in names] or None
    return {"metadata": {"resourceVersion": str(version), "continue": more}, "items": items}


def change(type_: str, name: str, version: int) -> dict[str, Any]:
    return {"type": type_, "object": thing(name, version)}


async def a_while() -> None:
    await asyncio.sleep(100.0)


async def reflected(
    cluster: ScriptedCluster, kind: Kind = SERVICE, *, seconds: float = 50.0
) -> tuple[list[str], Reflector[Partial]]:
    told = Told()
    reflector = Reflector(cluster, kind, Partial, told, selector="a=b", partial=True)
    task = asyncio.get_running_loop().create_task(reflector.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return told.story, reflector


async def test_pages_then_changes() -> None:
    cluster = ScriptedCluster(page(5, "a", more="next"), page(5, "b"))
    cluster.watches = [
        [change("ADDED", "c", 6), change("DELETED", "a", 7), change("BOOKMARK", "", 9), a_while]
    ]
    story, reflector = await reflected(cluster)
    assert story == ["seen a", "seen b", "listed a,b", "seen c", "gone a"]
    assert reflector.synced.is_set()
    assert [sent.params.get("continue") for sent in cluster.sent[:2]] == [None, "next"]
    assert cluster.sent[2].params["resourceVersion"] == "5"
    assert all(sent.params["labelSelector"] == "a=b" for sent in cluster.sent)


async def test_a_watch_that_breaks_goes_on_where_it_was() -> None:
    cluster = ScriptedCluster(page(5))
    cluster.watches = [[change("ADDED", "a", 6), Unreachable("cut")], [a_while]]
    story, _ = await reflected(cluster)
    assert story == ["listed ", "seen a"]
    assert cluster.sent[-1].params["resourceVersion"] == "6"


async def test_history_that_is_gone_is_listed_anew() -> None:
    cluster = ScriptedCluster(page(5, "a"), page(9, "b"))
    cluster.watches = [[GONE], [a_while]]
    story, _ = await reflected(cluster)
    assert story == ["seen a", "listed a", "seen b", "listed b"]
    assert cluster.sent[-1].params["resourceVersion"] == "9"


async def test_a_server_that_is_away_is_waited_for() -> None:
    cluster = ScriptedCluster(Unreachable("away"), Unreachable("away"), page(5, "a"))
    cluster.watches = [[a_while]]
    story, reflector = await reflected(cluster)
    assert story == ["seen a", "listed a"]
    assert reflector.synced.is_set()


async def test_watches_that_end_at_once_are_no_busy_loop() -> None:
    cluster = ScriptedCluster(*[page(5)] * 50)
    cluster.watches = [[] for _ in range(50)]
    await reflected(cluster)
    assert len(cluster.sent) < 20


async def test_an_api_that_is_not_there_is_looked_for_again() -> None:
    cluster = ScriptedCluster(NotFound(404, "NotFound", ""), page(5))
    cluster.watches = [[a_while]]
    story, reflector = await reflected(cluster, HTTP_ROUTE, seconds=ABSENT - 1.0)
    assert story == ["absent"]
    assert reflector.synced.is_set()
    cluster = ScriptedCluster(NotFound(404, "NotFound", ""), page(5))
    cluster.watches = [[a_while]]
    story, _ = await reflected(cluster, HTTP_ROUTE, seconds=ABSENT + 1.0)
    assert story == ["absent", "listed "]


async def test_a_line_that_is_no_object_lists_anew() -> None:
    cluster = ScriptedCluster(page(5), page(6))
    cluster.watches = [[{"type": "ADDED", "object": 7}], [a_while]]
    story, _ = await reflected(cluster)
    assert story == ["listed ", "listed "]
