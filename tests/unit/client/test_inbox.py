from __future__ import annotations

import asyncio

import pytest

from mcp_gateway.client.inbox import Inbox
from mcp_gateway.client.wire import Progress, Result
from mcp_gateway.errors import ConnectionLost


def piece(text: str, reasoning: str = "") -> Progress:
    return Progress(1, text, reasoning)


async def test_messages_come_in_order() -> None:
    inbox = Inbox(100)
    result = Result(1, {})
    inbox.put(piece("a"))
    inbox.put(result)

    assert await inbox.get() == piece("a")
    assert await inbox.get() == result


async def test_a_reader_waits_for_the_next_message() -> None:
    inbox = Inbox(100)
    async with asyncio.TaskGroup() as tasks:
        reader = tasks.create_task(inbox.get())
        await asyncio.sleep(1)
        inbox.put(piece("late"))

    assert reader.result() == piece("late")


async def test_an_error_comes_after_what_was_there_before() -> None:
    inbox = Inbox(100)
    inbox.put(piece("a"))
    inbox.fail(ConnectionLost("gone"))

    assert await inbox.get() == piece("a")
    with pytest.raises(ConnectionLost):
        await inbox.get()


async def test_an_error_wakes_the_reader() -> None:
    inbox = Inbox(100)
    asyncio.get_running_loop().call_later(1, inbox.fail, ConnectionLost("gone"))

    with pytest.raises(ConnectionLost):
        await inbox.get()


async def test_a_reader_that_was_cancelled_does_not_stop_the_writer() -> None:
    inbox = Inbox(100)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await inbox.get()

    assert inbox.put(piece("a"))
    assert await inbox.get() == piece("a")


async def test_a_reader_far_behind_gets_larger_pieces_and_loses_nothing() -> None:
    inbox = Inbox(100_000)
    text = "".join(f"{number} " for number in range(5000))
    for word in text.split(" ")[:-1]:
        assert inbox.put(piece(f"{word} "))
    inbox.put(Result(1, {}))

    pieces = []
    while isinstance(event := await inbox.get(), Progress):
        pieces.append(event.message)

    assert "".join(pieces) == text
    assert len(pieces) <= 256


async def test_joined_pieces_keep_the_reasoning_apart_from_the_answer() -> None:
    inbox = Inbox(100_000)
    for _ in range(300):
        inbox.put(piece("", "a"))
    for _ in range(300):
        inbox.put(piece("b"))
    inbox.put(Result(1, {}))

    seen = []
    while isinstance(event := await inbox.get(), Progress):
        seen.append(event)

    assert "".join(event.reasoning for event in seen) == "a" * 300
    assert "".join(event.message for event in seen) == "b" * 300
    assert len(seen) <= 256


async def test_unread_reasoning_counts_too() -> None:
    inbox = Inbox(10)

    assert inbox.put(piece("12345"))
    assert not inbox.put(piece("", "678901"))
    await inbox.get()
    assert inbox.put(piece("", "678901"))


async def test_unread_text_has_a_bound() -> None:
    inbox = Inbox(10)

    assert inbox.put(piece("12345"))
    assert not inbox.put(piece("678901"))
    await inbox.get()
    assert inbox.put(piece("678901"))
