"""The queue of spans and the thread behind it, with a receiver that does what the test says."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from tests.support.eventually import eventually

from mcp_gateway.telemetry.tracing import BATCH, MAX_QUEUED, Kind, Span, SpanSender

# Threads keep the real time; so must the loop that waits for them.
pytestmark = pytest.mark.integration


def spans(count: int = 1) -> list[Span]:
    return [Span("x", Kind.INTERNAL, "a" * 32, "b" * 16, "", 0.0, 1.0, {}) for _ in range(count)]


class Receiver:
    """Takes spans while `open` is set; answers with `problem`."""

    def __init__(self, endpoint: str = "http://receiver", problem: str = "") -> None:
        self.endpoint = endpoint
        self.problem = problem
        self.batches: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.aborted = False

    def export(self, spans: Sequence[Span]) -> str:
        self.batches.append(len(spans))
        self.open.wait(30.0)
        return self.problem

    def abort(self) -> None:
        self.aborted = True
        self.open.set()


async def test_spans_arrive_in_batches() -> None:
    sender, receiver = SpanSender(), Receiver()
    sender.use(receiver)
    for _ in range(BATCH):
        sender.put(spans(2))
    await sender.aclose(10.0)
    assert sum(receiver.batches) == 2 * BATCH
    assert max(receiver.batches) <= BATCH
    assert receiver.aborted
    assert sender.stats().exported == 2 * BATCH


async def test_a_flood_is_bounded_and_counted() -> None:
    sender, receiver = SpanSender(), Receiver()
    receiver.open.clear()
    sender.use(receiver)
    sender.put(spans())
    await eventually(lambda: receiver.batches == [1])
    for _ in range(MAX_QUEUED):
        sender.put(spans(4))
    assert sender.stats().dropped == MAX_QUEUED * 3
    receiver.open.set()
    await sender.aclose(10.0)
    stats = sender.stats()
    assert (stats.exported, stats.dropped) == (MAX_QUEUED + 1, MAX_QUEUED * 3)


async def test_spans_of_one_exchange_are_taken_together_or_not_at_all() -> None:
    sender, receiver = SpanSender(), Receiver()
    receiver.open.clear()
    sender.use(receiver)
    sender.put(spans())
    await eventually(lambda: receiver.batches == [1])
    sender.put(spans(MAX_QUEUED - 1))
    sender.put(spans(2))
    assert sender.stats().dropped == 2
    sender.put(spans(1))
    assert sender.stats().dropped == 2
    receiver.open.set()
    await sender.aclose(10.0)


async def test_a_receiver_that_refuses_costs_its_spans_and_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender, receiver = SpanSender(), Receiver(problem="503 from the receiver")
    sender.use(receiver)
    for number in range(1, 4):
        sender.put(spans(BATCH))
        await eventually(lambda number=number: sender.stats().failed == number * BATCH)  # type: ignore[misc]
    receiver.problem = ""
    sender.put(spans(BATCH))
    await sender.aclose(10.0)
    assert sender.stats().exported == BATCH
    said = [record.getMessage() for record in caplog.records]
    assert said.count("spans cannot be delivered") == 1


async def test_a_receiver_that_hangs_does_not_hold_the_end() -> None:
    sender, receiver = SpanSender(), Receiver()
    receiver.open.clear()
    sender.use(receiver)
    sender.put(spans())
    await eventually(lambda: receiver.batches == [1])
    sender.put(spans(5))
    async with asyncio.timeout(60.0):
        await sender.aclose(0.05)
    assert receiver.aborted
    assert sender.stats().failed >= 5
    sender.put(spans())
    assert sender.stats().dropped == 1


async def test_another_receiver_takes_over_what_waits() -> None:
    sender, first, second = SpanSender(), Receiver("http://a"), Receiver("http://b")
    first.open.clear()
    sender.use(first)
    sender.put(spans())
    await eventually(lambda: first.batches == [1])
    sender.use(second)
    assert sender.endpoint == "http://b"
    sender.put(spans(3))
    first.open.set()
    await eventually(lambda: sum(second.batches) == 3)
    await sender.aclose(10.0)
    assert first.aborted
    assert first.batches == [1]


async def test_switched_off_and_on_again() -> None:
    sender, receiver = SpanSender(), Receiver()
    sender.put(spans())
    assert sender.stats().dropped == 1
    sender.use(receiver)
    sender.put(spans(2))
    sender.use(None)
    assert sender.endpoint == ""
    await eventually(lambda: receiver.batches == [2] and receiver.aborted)
    again = Receiver()
    sender.use(again)
    sender.put(spans(3))
    await sender.aclose(10.0)
    assert again.batches == [3]
    assert sender.stats().exported == 5


async def test_without_a_receiver_there_is_no_thread() -> None:
    before = threading.active_count()
    sender = SpanSender()
    sender.use(None)
    assert threading.active_count() <= before
    await sender.aclose(1.0)
