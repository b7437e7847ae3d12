"""Provider accounts whose network is a script: everything above the transport is the product's.

Each account answers its requests from a list of steps, in order; the last one repeats.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from tests.support.fake_upstream import FakeConnector, FakeTransport, answer

from mcp_gateway.api import AccountLimits
from mcp_gateway.api import Provider as ProviderSpec
from mcp_gateway.limits.breaker import CircuitBreaker
from mcp_gateway.protocol.sse import encode
from mcp_gateway.providers import registry
from mcp_gateway.providers.base import ChatCall, StreamEvent
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.exchange import Exchange, Face, Operation
from mcp_gateway.proxy.meters import AccountMeters
from mcp_gateway.proxy.rates import Rates
from mcp_gateway.telemetry.metrics import Registry
from mcp_gateway.upstream.connection import Timeouts
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.pool import Pool, PoolSettings

Step = Callable[[FakeTransport], None]

MESSAGES = msgspec.Raw(b'[{"role":"user","content":"Hello!"}]')


def says(text: str, prompt_tokens: int = 3, completion_tokens: int = 5) -> Step:
    """Answer whole."""
    body = {
        "id": "c1",
        "model": "kimi-k2",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens},
    }
    return lambda transport: transport.feed(
        answer(json.dumps(body).encode(), extra=b"Content-Type: application/json\r\n")
    )


def refuses(status: int, kind: str, message: str = "no", headers: bytes = b"") -> Step:
    """Answer with an error of Kimi's wire."""
    body = json.dumps({"error": {"type": kind, "message": message}}).encode()
    return lambda transport: transport.feed(answer(body, status, headers))


def streams(*texts: str, ends: bool = True) -> Step:
    """Answer in pieces; without `ends` the connection breaks after them."""

    def step(transport: FakeTransport) -> None:
        transport.feed(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for text in texts:
            chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
            _chunk(transport, encode(json.dumps(chunk).encode()))
        if not ends:
            transport.reset()
            return
        last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        _chunk(transport, encode(json.dumps(last).encode()) + encode(b"[DONE]"))
        transport.feed(b"0\r\n\r\n")

    return step


def breaks(transport: FakeTransport) -> None:
    """Reset the connection instead of an answer."""
    transport.reset()


def hangs(_: FakeTransport) -> None:
    """Never answer."""


class Script:
    """One account and its scripted network.

    Attributes:
        account: the product's.
        requests: what was sent, in order.
        connector: to make connecting fail.
    """

    def __init__(
        self,
        name: str,
        *steps: Step,
        registry_: Registry | None = None,
        limits: AccountLimits | None = None,
        settings: PoolSettings | None = None,
        breaker: CircuitBreaker | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.requests: list[bytes] = []
        self._steps: Sequence[Step] = steps
        self.connector = FakeConnector()
        self.connector.on_write = self._written
        known = limits or AccountLimits()
        spec = ProviderSpec.model_validate(
            {"name": name, "type": "kimi", "apiKey": {"env": "KEY"}, "limits": known}
        )
        endpoint = Endpoint.parse("http://provider.test/v1")
        pool = Pool(
            name, [endpoint], self.connector, settings or PoolSettings(), share=known.concurrency
        )
        self.account = Account(
            spec=spec,
            provider=registry.build(spec, "sk-test", lambda: 1_700_000_000.0),
            pool=pool,
            breaker=breaker or CircuitBreaker(),
            rates=Rates(known, loop),
            meters=AccountMeters(registry_ or Registry(), name),
            timeouts=timeouts or Timeouts(connect=5.0, first_byte=60.0, idle=60.0, total=600.0),
            loop=loop,
        )
        pool.start()

    def _written(self, transport: FakeTransport, data: bytes) -> None:
        step = self._steps[min(len(self.requests), len(self._steps) - 1)]
        self.requests.append(data)
        asyncio.get_running_loop().call_soon(step, transport)


class Collector:
    """A sink that remembers."""

    congested = False

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []

    def send(self, event: StreamEvent) -> None:
        self.events.append(event)

    async def drained(self) -> None:
        return

    @property
    def text(self) -> str:
        return "".join(event.content for event in self.events)


def chat_exchange(
    model: str = "kimi-k2", *, provider: str = "", sink: Collector | None = None, **more: Any
) -> Exchange:
    """A chat on its way in."""
    fields = {"model": msgspec.Raw(json.dumps(model).encode()), "messages": MESSAGES}
    return Exchange(
        id="0" * 32,
        face=Face.HTTP,
        method="tools/call",
        started=asyncio.get_running_loop().time(),
        wall=1_700_000_000.0,
        operation=Operation.CHAT,
        tool="chat",
        call=ChatCall(model=model, fields=fields, provider=provider, stream=sink is not None),
        sink=sink,
        **more,
    )


def _chunk(transport: FakeTransport, data: bytes) -> None:
    transport.feed(b"%x\r\n%s\r\n" % (len(data), data))
