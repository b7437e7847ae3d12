"""Events are told once, counted after that, and never a storm."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.unit.mcp_gateway_operator.scripted_cluster import ScriptedCluster

from mcp_gateway_operator.cluster import NotFound, Recorder, Subject, Unreachable
from mcp_gateway_operator.cluster.event import BURST, REFILL, REWRITE, SAME
from mcp_gateway_operator.metrics import Metrics

LLM = Subject("gateway.exai.dev/v1alpha1", "MCPGateway", "n", "llm", "uid")


class Posts:
    """A recorder, and what it posts."""

    def __init__(self, *answers: Any) -> None:
        self.cluster = ScriptedCluster(*(answers or [{}] * 100))
        self.now = 1000.0
        self.recorder = Recorder(self.cluster, Metrics(), "me", clock=lambda: self.now)

    def say(self, note: str = "hello", subject: Subject = LLM) -> None:
        self.recorder.record(subject, "Normal", "Said", action="Say", note=note)

    async def posted(self) -> list[Any]:
        await self.recorder.drain()
        sent, self.cluster.sent = self.cluster.sent, []
        return sent


async def test_an_event_names_its_object_and_who_reports() -> None:
    posts = Posts()
    posts.say()
    (sent,) = await posts.posted()
    assert sent.path == "/apis/events.k8s.io/v1/namespaces/n/events"
    assert sent.body["regarding"]["uid"] == "uid"
    assert sent.body["reportingController"] == "mcp-gateway-operator"
    assert (sent.body["type"], sent.body["reason"], sent.body["note"]) == (
        "Normal", "Said", "hello",
    )  # fmt: skip


async def test_the_same_words_are_counted_and_seldom_written() -> None:
    posts = Posts()
    for _ in range(50):
        posts.say()
        posts.now += REWRITE / 20
    sent = await posts.posted()
    assert [each.verb for each in sent] == ["create", "patch", "patch"]
    assert sent[-1].body["series"]["count"] == 50
    posts.now += SAME
    posts.say()
    assert [each.verb for each in await posts.posted()] == ["create"]


async def test_one_object_has_its_allowance_and_others_have_theirs() -> None:
    posts = Posts()
    for number in range(BURST * 3):
        posts.say(f"note {number}")
    assert len(await posts.posted()) == BURST
    posts.say("other", Subject("v1", "Pod", "n", "p", "another"))
    assert len(await posts.posted()) == 1
    posts.now += REFILL
    posts.say("later")
    posts.say("too much")
    assert len(await posts.posted()) == 1


async def test_a_long_note_is_cut() -> None:
    posts = Posts()
    posts.say("x" * 5000)
    (sent,) = await posts.posted()
    assert len(sent.body["note"]) == 1024


async def test_a_deleted_event_begins_anew() -> None:
    posts = Posts({}, NotFound(404, "NotFound", ""), {})
    posts.say()
    posts.now += REWRITE
    posts.say()
    await posts.posted()
    posts.say()
    assert [each.verb for each in await posts.posted()] == ["create"]


async def test_what_cannot_be_posted_is_dropped() -> None:
    posts = Posts(Unreachable("away"), {})
    posts.say("one")
    posts.say("two")
    task = asyncio.get_running_loop().create_task(posts.recorder.run())
    await asyncio.sleep(1.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(posts.cluster.sent) == 2
