"""One admitted request: its answer sent at the pace that was drawn, or failing as was drawn.

A turn holds its place in the account from the moment it is made to the last byte of its answer
or the loss of its connection. It lives on timers; there is no task per request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Protocol

from mcp_gateway.simulator import http
from mcp_gateway.simulator.account import Account
from mcp_gateway.simulator.chat import DONE, Answer
from mcp_gateway.simulator.settings import FailureKind

TICK = 0.001
"""Seconds between two writes of a stream at least; faster tokens share a write."""

BATCH = 512
"""Events in one write at most, so that a client that was slow does not get all at once."""

DRIP_BYTES = 8
DRIP_INTERVAL = 0.05
"""A slow body comes this many bytes at a time, this many seconds apart."""

RESET_DELAY = 0.05
"""Seconds between the first part of an answer and the reset in its middle: a reset that
overtakes the bytes before it would look like one before the answer."""

GARBAGE = b"\x16\x03\x01 this is not the protocol you are looking for\r\n\r\n\x00\xff"


class Line(Protocol):
    """What a turn needs of its connection."""

    chunked: bool
    """A stream is framed in chunks, which HTTP/1.0 does not know."""

    @property
    def congested(self) -> bool:
        """The client reads too slowly; `Turn.resume` is called when it has caught up."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def finished(self) -> None:
        """The answer's last byte was given to `write`."""

    def reset(self) -> None:
        """Drop the connection so that the client sees a reset."""

    def close(self) -> None:
        """Close the connection after what was written."""


class Turn:
    """The answer to one request under way.

    Args:
        line: where it goes.
        account: whose place it holds; it has entered already.
        answer: what is said.
        headers: further header lines.
        first_token: seconds before the first token.
        per_token: seconds for each token.
        failure: how it goes wrong, or None.
    """

    __slots__ = ("_account", "_answer", "_blocked", "_events", "_failure", "_first", "_headers",
                 "_line", "_loop", "_per_token", "_sent", "_start", "_timer")  # fmt: skip

    def __init__(
        self,
        line: Line,
        account: Account,
        answer: Answer,
        *,
        headers: bytes,
        first_token: float,
        per_token: float,
        failure: FailureKind | None,
    ) -> None:
        self._line, self._account, self._answer = line, account, answer
        self._headers = headers
        self._first, self._per_token = first_token, per_token
        self._failure = failure
        self._loop = asyncio.get_running_loop()
        self._start = 0.0
        self._sent = 0
        self._events: Iterator[bytes] = iter(())
        self._blocked: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, *, stream: bool) -> None:
        """Start the clock."""
        failure = self._failure
        if failure is not None:
            self._account.count_failure(failure)
            if self._fail(failure, stream=stream):
                return
        if stream:
            self._events = self._answer.events()
            self._after(self._first, self._begin_stream)
        else:
            tokens = self._answer.completion_tokens
            self._after(self._first + tokens * self._per_token, self._send_whole)

    def resume(self) -> None:
        """Go on where a congested line stopped it."""
        step, self._blocked = self._blocked, None
        if step is not None:
            step()

    def lost(self) -> None:
        """The connection is gone: give the place back."""
        self._stop_timer()
        self._account.leave(answered=False)

    def _fail(self, failure: FailureKind, *, stream: bool) -> bool:
        """Set a failure going; False for one that only changes how the answer is sent."""
        if failure is FailureKind.STALL:
            return True
        if failure is FailureKind.SLOW_BODY:
            data = self._whole_stream() if stream else self._whole()
            self._after(self._first, lambda: self._drip(data, 0))
            return True
        if failure is FailureKind.RESET:
            self._after(self._first, self._line.reset)
            return True
        if failure is FailureKind.GARBAGE:
            self._after(self._first, self._send_garbage)
            return True
        if failure is FailureKind.BROKEN_JSON:
            self._after(self._first, lambda: self._send_broken(stream=stream))
            return True
        data = self._whole_stream() if stream else self._whole()
        self._after(self._first, lambda: self._send_half(data, failure))
        return True

    def _send_whole(self) -> None:
        self._line.write(self._whole())
        self._end()

    def _send_garbage(self) -> None:
        self._line.write(GARBAGE)
        self._line.close()

    def _send_broken(self, *, stream: bool) -> None:
        body = b"".join(self._answer.events()) if stream else self._answer.body()
        half = body[: len(body) // 2]
        if stream:
            events = self._chunk(half + b"\n\n")
            self._line.write(self._stream_head() + events + self._stream_end())
        else:
            self._line.write(http.response(200, half, self._headers))
        self._end()

    def _send_half(self, data: bytes, failure: FailureKind) -> None:
        # Half of the body, so that the head and some of the text have surely gone.
        head = data.index(b"\r\n\r\n") + 4
        self._line.write(data[: head + (len(data) - head) // 2])
        if failure is FailureKind.RESET_MIDWAY:
            self._after(RESET_DELAY, self._line.reset)

    def _drip(self, data: bytes, sent: int) -> None:
        if self._line.congested:
            self._blocked = lambda: self._drip(data, sent)
            return
        self._line.write(data[sent : sent + DRIP_BYTES])
        sent += DRIP_BYTES
        if sent >= len(data):
            self._end()
        else:
            self._after(DRIP_INTERVAL, lambda: self._drip(data, sent))

    def _begin_stream(self) -> None:
        self._start = self._loop.time()
        self._line.write(self._stream_head())
        self._send_due()

    def _send_due(self) -> None:
        while not self._line.congested:
            events = list(islice(self._events, self._due()))
            last = not events or events[-1] == DONE
            data = self._chunk(b"".join(events))
            self._line.write(data + self._stream_end() if last else data)
            if last:
                self._end()
                return
            self._sent += len(events)
            if self._per_token > 0.0:
                wait = self._start + self._sent * self._per_token - self._loop.time()
                self._after(max(TICK, wait), self._send_due)
                return
        self._blocked = self._send_due

    def _due(self) -> int:
        """Events to send now: at least the one that the timer fired for."""
        if self._per_token <= 0.0:
            return BATCH
        elapsed = self._loop.time() - self._start
        return min(BATCH, max(1, int(elapsed / self._per_token) + 1 - self._sent))

    def _end(self) -> None:
        self._stop_timer()
        self._account.prompt_tokens += self._answer.prompt_tokens
        self._account.completion_tokens += self._answer.completion_tokens
        self._account.leave(answered=True)
        self._line.finished()

    def _whole(self) -> bytes:
        return http.response(200, self._answer.body(), self._headers)

    def _whole_stream(self) -> bytes:
        events = b"".join(self._answer.events())
        return self._stream_head() + self._chunk(events) + self._stream_end()

    def _stream_head(self) -> bytes:
        return http.stream_head(self._headers, chunked=self._line.chunked)

    def _stream_end(self) -> bytes:
        return http.LAST_CHUNK if self._line.chunked else b""

    def _chunk(self, data: bytes) -> bytes:
        return http.chunk(data) if self._line.chunked and data else data

    def _after(self, delay: float, step: Callable[[], None]) -> None:
        if delay <= 0.0:
            step()
        else:
            self._timer = self._loop.call_later(delay, step)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
