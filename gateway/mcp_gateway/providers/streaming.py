"""The two waits of a streamed answer: for a slow client in its middle, and for its very end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from mcp_gateway.errors import RemoteProtocolError, RequestCancelled, UpstreamError
from mcp_gateway.providers.base import Sink
from mcp_gateway.upstream.connection import StreamedResponse

TRAILER_WAIT: Final = 1.0
"""Seconds to wait for the end of the HTTP message after the end of the event stream.

With it the connection can be used again; the answer is whole without it.
"""


async def drained(sink: Sink, until: float) -> None:
    """Wait for a slow client, but no longer than the whole request may take.

    A client that never reads again would keep its place at the provider for good.

    Args:
        sink: the client's side.
        until: `loop.time()` when the request's time is over.

    Raises:
        RequestCancelled: it is over.
    """
    try:
        async with asyncio.timeout_at(until):
            await sink.drained()
    except TimeoutError as exc:
        raise RequestCancelled("the client did not read its stream in time") from exc


async def read_rest(response: StreamedResponse) -> None:
    """Read to the end of a message whose answer is whole already.

    Whatever happens here costs the connection and nothing else.
    """
    with contextlib.suppress(UpstreamError, RemoteProtocolError, TimeoutError):
        async with asyncio.timeout(TRAILER_WAIT):
            while await response.read():
                pass
