"""A response that may become an event stream.

The head is held back until the first event: a failure before it keeps its own HTTP status, and
an answer that never streams can still be plain JSON. An exchange that is quiet for long becomes
a stream all the same, because proxies cut what is silent; a comment line keeps it open.
"""

from __future__ import annotations

from mcp_gateway.server.responder import Responder

QUIET = 15.0
"""Seconds without an event after which a comment line is sent."""
COMMENT = b": keep-alive\n\n"


class EventStream:
    """Server-sent events on one response."""

    __slots__ = ("_head", "_quiet_since", "_responder", "_wrote")

    def __init__(self, responder: Responder, head: bytes) -> None:
        """Prepare; nothing is sent.

        Args:
            responder: the response, not started. Its heartbeat is taken.
            head: header lines, the content type among them.
        """
        self._responder = responder
        self._head = head
        self._wrote = False
        self._quiet_since: float | None = None
        responder.heartbeat = self._heartbeat

    @property
    def started(self) -> bool:
        """The head has left: the status is 200 and cannot change."""
        return self._responder.started

    @property
    def congested(self) -> bool:
        """The client reads slower than events come."""
        return self._responder.congested

    async def drained(self) -> None:
        """Return when not congested."""
        await self._responder.drained()

    def send(self, event: bytes) -> None:
        """Send one event, framed by the caller. Never blocks."""
        if not self._responder.started:
            self._responder.start(200, self._head)
        self._wrote = True
        self._responder.write(event)

    def finish(self) -> None:
        """End the stream, which must have started."""
        self._responder.finish()

    def _heartbeat(self, now: float) -> None:
        if self._wrote or self._quiet_since is None:
            self._wrote = False
            self._quiet_since = now
        elif now - self._quiet_since >= QUIET and not self._responder.finished:
            self.send(COMMENT)
