"""Calls over Streamable HTTP: one POST each, answered by JSON or by a stream of events."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import httpx

from mcp_gateway.client.backoff import Backoff
from mcp_gateway.client.lanes import Lanes
from mcp_gateway.client.sse import EventReader
from mcp_gateway.client.transport import Settings, connect_failed, refused_request, retry_after
from mcp_gateway.client.wire import Progress, Result, ToolCall, decode, encode_call, http_headers
from mcp_gateway.errors import ConnectionLost, GatewayError, RemoteProtocolError

_KEEP_ALIVE = 30.0

# httpx raises these before the first byte of a request is written, and for nothing else.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class HTTPTransport:
    """The way to the gateway over `http://` or `https://`."""

    def __init__(
        self,
        settings: Settings,
        *,
        backoff: Backoff | None = None,
        network: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._backoff = backoff or Backoff()
        self._http = httpx.AsyncClient(
            headers=settings.headers(),
            # How long an answer may take is for the call's deadline to say.
            timeout=httpx.Timeout(None, connect=settings.connect_timeout),
            trust_env=False,
            transport=network or Lanes(_lane_opener(settings)),
        )

    async def events(self, call: ToolCall) -> AsyncGenerator[Progress | Result, None]:
        """See `Transport.events`."""
        async with self._post(call) as response, aclosing(self._messages(response)) as messages:
            async for message in messages:
                if isinstance(message, Progress):
                    if message.token == call.id:
                        yield message
                elif message is not None:
                    yield message
                    return
        raise ConnectionLost("the gateway's stream ended before the answer")

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        await self._http.aclose()

    @asynccontextmanager
    async def _post(self, call: ToolCall) -> AsyncIterator[httpx.Response]:
        """Send the call; leaving the context closes the response, which cancels the call."""
        response = await self._sent(call)
        try:
            yield response
        except httpx.StreamError as exc:
            raise ConnectionLost("the client was closed before the answer came") from exc
        except httpx.TransportError as exc:
            raise _lost(exc) from exc
        finally:
            await response.aclose()

    async def _sent(self, call: ToolCall) -> httpx.Response:
        if self._http.is_closed:
            raise RuntimeError("the client is closed")
        url = self._settings.url
        request = self._http.build_request(
            "POST", url, content=encode_call(call), headers=http_headers(call)
        )
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._settings.reconnect_for
        while True:
            try:
                response = await self._http.send(request, stream=True)
            except _NOT_SENT as exc:
                error = connect_failed(url, exc)
                left = give_up - loop.time()
                if not error.retryable or left <= 0:
                    raise error from exc
                await asyncio.sleep(min(self._backoff.delay(), left))
            except httpx.TransportError as exc:
                raise _lost(exc) from exc
            else:
                self._backoff.reset()
                return response

    async def _messages(
        self, response: httpx.Response
    ) -> AsyncGenerator[Progress | Result | None, None]:
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream" and response.status_code == 200:
            reader = EventReader(self._settings.max_message)
            async for chunk in response.aiter_bytes():
                for data in reader.feed(chunk):
                    yield decode(data)
            return
        yield await self._whole(response, kind)

    async def _whole(self, response: httpx.Response, kind: str) -> Progress | Result | None:
        refusal = refused_request(
            self._settings.url,
            response.status_code,
            retry_after(response.headers.get("Retry-After")),
        )
        if kind != "application/json":
            raise refusal
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._settings.max_message:
                limit = self._settings.max_message
                raise RemoteProtocolError(f"the gateway's answer is over {limit} bytes")
        try:
            return decode(bytes(body))
        except RemoteProtocolError:
            if response.is_success:
                raise
            raise refusal from None


def _lane_opener(settings: Settings) -> Callable[[], httpx.AsyncBaseTransport]:
    tls = settings.tls
    if tls is None:
        # Without TLS nothing is verified; a bare context trusts nobody and costs nothing.
        secure = settings.url[:5].lower() == "https"
        tls = ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    proxy = None if settings.proxy is None else httpx.Proxy(settings.proxy)
    limits = httpx.Limits(max_connections=1, keepalive_expiry=_KEEP_ALIVE)
    return lambda: httpx.AsyncHTTPTransport(verify=tls, trust_env=False, limits=limits, proxy=proxy)


def _lost(exc: httpx.TransportError) -> GatewayError:
    return ConnectionLost(f"the gateway's connection ended before the answer: {exc}")
