import asyncio

import msgspec
import pytest
from msgspec import Raw
from tests.support.scripted_provider import MESSAGES, chat_exchange

from mcp_gateway.errors import NoRoute, Overloaded
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Attempt, Exchange
from mcp_gateway.proxy.layers.recording import RecordingLayer
from mcp_gateway.recording.choice import kept
from mcp_gateway.recording.record import Record


class Shelf:
    """A recorder that keeps records in a list; `full` refuses the durable ones."""

    def __init__(self, *, full: bool = False) -> None:
        self.records: list[Record] = []
        self.durable = 0
        self._full = full

    def put(self, record: Record) -> bool:
        self.records.append(record)
        return True

    async def put_durably(self, record: Record) -> None:
        if self._full:
            raise Overloaded("the interaction cannot be recorded")
        self.durable += 1
        self.records.append(record)


async def answer(exchange: Exchange) -> ChatAnswer:
    exchange.route, exchange.provider, exchange.model = "kimi", "kimi", "kimi-k2-0905"
    exchange.attempts += [
        Attempt("glm", "kimi-k2", 0.5, 0.25, "overload", 429),
        Attempt("kimi", ""),
    ]
    exchange.queued = 0.5
    await asyncio.sleep(1.0)
    return ChatAnswer(b'{"choices":[]}', "Hi.", finish_reason="stop", prompt_tokens=3)


async def refuse(_: Exchange) -> ChatAnswer:
    raise NoRoute("no route matches")


async def recorded(exchange: Exchange) -> Record:
    shelf = Shelf()
    await RecordingLayer(shelf, sync=False)(exchange, answer)
    (record,) = shelf.records
    return record


async def test_a_record_says_what_happened() -> None:
    record = await recorded(chat_exchange(request_id="7", peer="10.0.0.1"))
    assert (record.route, record.provider, record.asked_model) == ("kimi", "kimi", "kimi-k2")
    assert (record.model, record.status, record.finish_reason) == ("kimi-k2-0905", 200, "stop")
    assert (record.total_ms, record.queue_ms) == (1000.0, 500.0)
    assert record.attempts == 2
    assert [attempt.outcome for attempt in record.tries] == ["overload", "ok"]
    assert record.prompt_tokens == 3


async def test_a_record_names_the_pod_that_made_the_attempt_where_it_was_another() -> None:
    async def elsewhere(exchange: Exchange) -> ChatAnswer:
        exchange.attempts.append(Attempt("kimi", "kimi-k2", pod="web-3"))
        return ChatAnswer(b"{}")

    shelf = Shelf()
    await RecordingLayer(shelf, sync=False)(chat_exchange(), elsewhere)
    (record,) = shelf.records
    assert (record.attempts, [attempt.pod for attempt in record.tries]) == (1, ["web-3"])


async def test_content_is_kept_only_where_it_is_asked_for() -> None:
    record = await recorded(chat_exchange())
    assert (record.request, record.response) == (None, None)
    record = await recorded(chat_exchange(kept=kept("prompts")))
    assert record.request == {"model": Raw(b'"kimi-k2"'), "messages": MESSAGES}
    assert record.response is None
    record = await recorded(chat_exchange(kept=kept("responses")))
    assert (record.request, record.response) == (None, b'{"choices":[]}')


async def test_the_body_is_recorded_as_the_client_sent_it() -> None:
    exchange = chat_exchange(kept=kept("all"))
    assert exchange.call is not None
    exchange.call.body = b'{"model":"kimi-k2"}'
    assert (await recorded(exchange)).request == b'{"model":"kimi-k2"}'


async def test_the_events_of_a_stream_are_kept_also_when_it_breaks() -> None:
    async def breaking(exchange: Exchange) -> ChatAnswer:
        exchange.streamed = True
        exchange.events.append(b'{"choices":[]}')
        raise NoRoute("broken")

    shelf = Shelf()
    with pytest.raises(NoRoute):
        await RecordingLayer(shelf, sync=False)(chat_exchange(kept=kept("all")), breaking)
    assert shelf.records[0].events == [b'{"choices":[]}']
    assert shelf.records[0].streamed


async def test_a_refusal_is_recorded_as_an_error() -> None:
    shelf = Shelf()
    with pytest.raises(NoRoute):
        await RecordingLayer(shelf, sync=True)(chat_exchange(), refuse)
    (record,) = shelf.records
    assert (record.kind, record.status, record.error) == ("error", 404, "NoRoute")


async def test_sync_answers_after_the_commit_or_not_at_all() -> None:
    shelf = Shelf()
    assert await RecordingLayer(shelf, sync=True)(chat_exchange(), answer) is not None
    assert shelf.durable == 1
    with pytest.raises(Overloaded):
        await RecordingLayer(Shelf(full=True), sync=True)(chat_exchange(), answer)


async def test_a_route_may_be_left_out() -> None:
    shelf = Shelf()
    await RecordingLayer(shelf, sync=False)(chat_exchange(recorded=False), answer)
    assert shelf.records == []


async def test_a_credential_never_gets_into_a_record() -> None:
    record = await recorded(chat_exchange(credential="mgw_top_secret", kept=kept("all")))
    assert b"mgw_top_secret" not in msgspec.json.encode(record)
