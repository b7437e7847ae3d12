"""Where an exchange stands in a trace, and when each of its attempts did what.

Only notes are taken while the exchange runs; spans are made of them when it has ended, and only
where it is sampled. An exchange that is not sampled still carries its context on, so that what
follows is not sampled either (W3C Trace Context level 2, §3.2.2.5.1).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from msgspec import Struct

from mcp_gateway.protocol import trace_context

if TYPE_CHECKING:
    from mcp_gateway.providers.base import ChatCall
    from mcp_gateway.proxy.exchange import Attempt, Exchange
    from mcp_gateway.upstream.endpoint import Endpoint


class Step(Struct):
    """One attempt, with what a span says of it besides.

    Attributes:
        attempt: its outcome; filled in while it runs.
        span_id: of the span of the call.
        began, sent, ended: `loop.time()` when it asked for a slot, when the request went to the
            provider, and when it was over; `sent` is None where it never came to that.
        address, port: where the request went.
    """

    attempt: Attempt
    span_id: str
    began: float
    sent: float | None = None
    ended: float = 0.0
    address: str = ""
    port: int = 0


class Trace(Struct):
    """The trace of one exchange.

    Attributes:
        trace_id, span_id: of the exchange's own span, in hexadecimal digits.
        parent_id: the caller's span; empty where the trace begins here.
        state: the `tracestate` that came in, passed on as it is.
        sampled: spans are made of it.
        steps: its attempts, in order; noted only where it is sampled.
    """

    trace_id: str
    span_id: str
    parent_id: str = ""
    state: str = ""
    sampled: bool = False
    steps: list[Step] = []

    @property
    def traceparent(self) -> str:
        """The context of the exchange's own span."""
        return trace_context.traceparent(self.trace_id, self.span_id, sampled=self.sampled)

    def begin(self, attempt: Attempt, now: float) -> None:
        """An attempt begins: it asks for a slot."""
        if self.sampled:
            self.steps.append(Step(attempt, new_span_id(), now))

    def send(self, call: ChatCall, now: float, to: Endpoint) -> None:
        """The attempt's request goes out now: it takes the context with it."""
        parent = self.traceparent
        if self.sampled:
            step = self.steps[-1]
            step.sent, step.address, step.port = now, to.host, to.port
            parent = trace_context.traceparent(self.trace_id, step.span_id, sampled=True)
        call.context = trace_context.header_lines(parent, self.state)

    def end(self, now: float) -> None:
        """The attempt is over, however it went."""
        if self.sampled:
            self.steps[-1].ended = now


def begin(exchange: Exchange, limit: int) -> Trace:
    """The trace of an exchange that begins: its caller's, or a new one named like itself.

    Args:
        exchange: the exchange.
        limit: `trace_context.threshold` of the part of new traces that is sampled.
    """
    came = trace_context.parse(exchange.traceparent) if exchange.traceparent else None
    if came is not None:
        state = trace_context.tracestate_of(exchange.tracestate)
        return Trace(came.trace_id, new_span_id(), came.span_id, state, came.sampled)
    trace_id = exchange.id
    return Trace(trace_id, new_span_id(), sampled=trace_context.chosen(trace_id, limit))


def new_span_id() -> str:
    """16 hexadecimal digits, not all of them zero."""
    return f"{random.getrandbits(64) or 1:016x}"
