"""What comes back from a provider: whole, or in pieces."""

from __future__ import annotations

import asyncio
from typing import Protocol

from msgspec import Struct

from mcp_gateway.errors import GatewayError, RemoteProtocolError
from mcp_gateway.upstream.http1 import MAX_BODY, by_name


class Response(Struct):
    """A whole answer.

    Attributes:
        status: the status code.
        fields: the header fields as they came.
        body: the content.
    """

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The fields by name. Only refusals have their headers read, so nothing is kept."""
        return by_name(self.fields)


class Source(Protocol):
    """What a streamed answer asks of its connection."""

    def resume(self) -> None:
        """The reader caught up: let the provider send again."""

    def abort(self) -> None:
        """The reader gave up: close at once."""


class StreamedResponse:
    """An answer whose body is read while it arrives.

    Attributes:
        status, headers: the head; header names in lower case.
        unread: bytes that arrived and were not read.
    """

    __slots__ = (
        "_chunks",
        "_ended",
        "_error",
        "_reader",
        "_source",
        "headers",
        "status",
        "unread",
    )

    def __init__(self, source: Source, status: int, headers: dict[bytes, bytes]) -> None:
        self.status = status
        self.headers = headers
        self.unread = 0
        self._source = source
        self._chunks: list[bytes] = []
        self._ended = False
        self._error: GatewayError | None = None
        self._reader: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """Return what has arrived, waiting for something where nothing has; b"" at the end.

        Must not be awaited concurrently. Cancelling it while it waits closes the connection.

        Raises:
            ConnectionLost, UpstreamTimeout, RemoteProtocolError: the body broke off. What had
                arrived before is returned first.
        """
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            except asyncio.CancelledError:
                self.close()
                raise
            finally:
                self._reader = None
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.unread = 0
        if not self._ended:  # afterwards the connection may be another exchange's
            self._source.resume()
        return data

    async def body(self, limit: int = MAX_BODY) -> bytes:
        """Read to the end and return everything.

        Raises:
            RemoteProtocolError: there are more than `limit` bytes.
        """
        parts: list[bytes] = []
        size = 0
        while data := await self.read():
            parts.append(data)
            size += len(data)
            if size > limit:
                self.close()
                raise RemoteProtocolError(f"expected a body of at most {limit} bytes")
        return b"".join(parts)

    def close(self) -> None:
        """Give up: closes the connection unless the body has ended. Idempotent."""
        if not self._ended:
            self._source.abort()

    # What the connection calls.

    def feed(self, data: bytes) -> None:
        """Bytes of the body arrived."""
        self._chunks.append(data)
        self.unread += len(data)
        self._wake()

    def finish(self, error: GatewayError | None) -> None:
        """The body ended, whole or with an error."""
        self._ended = True
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
