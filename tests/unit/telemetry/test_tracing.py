from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest

from mcp_gateway.telemetry.tracing import LONGEST_PROBLEM, Kind, Span, SpanSender


class Talkative:
    """A receiver that takes nothing and says a lot."""

    endpoint = "http://receiver"

    def export(self, spans: Sequence[Span]) -> str:
        return "no " * 100_000

    def abort(self) -> None:
        pass


async def test_little_is_logged_of_what_a_receiver_says(caplog: pytest.LogCaptureFixture) -> None:
    sender = SpanSender()
    with caplog.at_level(logging.WARNING):
        sender.use(Talkative())
        span = Span("a", Kind.SERVER, "1" * 32, "2" * 16, "", 0.0, 1.0, {})
        sender.put([span])
        await sender.aclose(5.0)
    (record,) = caplog.records
    assert len(record.__dict__["fields"]["problem"]) == LONGEST_PROBLEM
    assert sender.stats().failed == 1
