"""What injected failures look like on a socket, seen by the gateway's own connections."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.integration.simulator.conftest import Start
from tests.integration.simulator.waiting import until

from mcp_gateway.errors import ConnectionLost, GatewayError, RemoteProtocolError, UpstreamTimeout
from mcp_gateway.providers.base import ChatCall, ProviderRefused, RefusalKind, StreamEvent
from mcp_gateway.providers.credential import BearerKey, SignedToken
from mcp_gateway.providers.glm import GLMProvider
from mcp_gateway.providers.kimi import KimiProvider
from mcp_gateway.providers.openai_chat import OpenAIChatProvider
from mcp_gateway.simulator import (
    Failure,
    FailureKind,
    Latency,
    Limits,
    LogNormal,
    Settings,
    account_name,
)
from mcp_gateway.upstream.connect import Connector
from mcp_gateway.upstream.connection import Connection, Timeouts
from mcp_gateway.upstream.endpoint import Endpoint

pytestmark = pytest.mark.integration

PATIENT = Timeouts()
FIELDS = {
    "model": msgspec.Raw(b'"kimi-k2.6"'),
    "messages": msgspec.Raw(b'[{"role":"user","content":"Hello!"}]'),
}
WHOLE = ChatCall("kimi-k2.6", FIELDS)
STREAM = ChatCall("kimi-k2.6", FIELDS, stream=True)


class Pieces:
    """A sink that keeps the text."""

    congested = False

    def __init__(self) -> None:
        self.text = ""

    def send(self, event: StreamEvent) -> None:
        self.text += event.content

    async def drained(self) -> None:
        raise AssertionError("never congested")


def kimi() -> KimiProvider:
    return KimiProvider("kimi", BearerKey("sk-1"), clock=lambda: 0.0)


async def reach(url: str) -> Connection:
    return await Connector().connect(Endpoint.parse(url))


async def fail(start: Start, kind: FailureKind, *, stream: bool, timeouts: Timeouts) -> Exception:
    """The error that a call to an account failing this way ends with."""
    _, url = await start(Settings(failures=(Failure(kind, 1.0),)))
    connection = await reach(url)
    call = kimi().complete(connection, WHOLE, "kimi-k2.6", timeouts)
    if stream:
        call.close()
        call = kimi().stream(connection, STREAM, "kimi-k2.6", timeouts, Pieces())
    with pytest.raises((GatewayError, ProviderRefused)) as caught:
        await call
    connection.close()
    return caught.value


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        (FailureKind.OVERLOAD, RefusalKind.OVERLOAD),
        (FailureKind.QUOTA, RefusalKind.QUOTA),
        (FailureKind.SERVER, RefusalKind.SERVER),
        (FailureKind.BAD_GATEWAY, RefusalKind.SERVER),
        (FailureKind.UNAVAILABLE, RefusalKind.OVERLOAD),
        (FailureKind.GATEWAY_TIMEOUT, RefusalKind.SERVER),
    ],
)
async def test_error_answers_are_understood(
    start: Start, stream: bool, kind: FailureKind, meaning: RefusalKind
) -> None:
    error = await fail(start, kind, stream=stream, timeouts=PATIENT)
    assert isinstance(error, ProviderRefused)
    assert error.refusal.kind is meaning


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "answered"), [(FailureKind.RESET, False), (FailureKind.RESET_MIDWAY, True)]
)
async def test_resets_are_lost_connections(
    start: Start, stream: bool, kind: FailureKind, answered: bool
) -> None:
    error = await fail(start, kind, stream=stream, timeouts=PATIENT)
    assert isinstance(error, ConnectionLost)
    assert error.answered is answered


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "phase"), [(FailureKind.STALL, "first_byte"), (FailureKind.STALL_MIDWAY, "idle")]
)
async def test_stalls_are_timeouts(
    start: Start, stream: bool, kind: FailureKind, phase: str
) -> None:
    error = await fail(start, kind, stream=stream, timeouts=Timeouts(**{phase: 0.1}))
    assert isinstance(error, UpstreamTimeout)
    assert error.phase == phase


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", [FailureKind.GARBAGE, FailureKind.BROKEN_JSON])
async def test_garbage_is_not_the_wire(start: Start, stream: bool, kind: FailureKind) -> None:
    error = await fail(start, kind, stream=stream, timeouts=PATIENT)
    assert isinstance(error, RemoteProtocolError)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_slow_body_is_over_the_total(start: Start, stream: bool) -> None:
    timeouts = Timeouts(total=0.3)
    error = await fail(start, FailureKind.SLOW_BODY, stream=stream, timeouts=timeouts)
    assert isinstance(error, UpstreamTimeout)
    assert error.phase == "total"


async def test_a_cancelled_call_frees_its_place(start: Start) -> None:
    slow = Latency(first_token=LogNormal(60.0))
    simulator, url = await start(Settings(limits=Limits(concurrency=1), latency=slow))
    connection = await reach(url)
    call = asyncio.create_task(
        kimi().complete(connection, WHOLE, "kimi-k2.6", PATIENT), name="call"
    )
    await until(lambda: simulator.stats()["in_flight"] == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(lambda: simulator.stats()["in_flight"] == 0)


async def test_in_flight_never_passes_the_limit(start: Start) -> None:
    """Forty at once on an account for eight: eight are answered, the rest refused."""
    slow = Latency(first_token=LogNormal(0.3))
    simulator, url = await start(Settings(limits=Limits(concurrency=8), latency=slow))

    async def one() -> RefusalKind | None:
        connection = await reach(url)
        try:
            await kimi().complete(connection, WHOLE, "kimi-k2.6", PATIENT)
        except ProviderRefused as refused:
            return refused.refusal.kind
        finally:
            connection.close()
        return None

    outcomes = await asyncio.gather(*[one() for _ in range(40)])
    assert outcomes.count(None) >= 8
    assert outcomes.count(RefusalKind.CONCURRENCY) == 40 - outcomes.count(None)
    stats = simulator.stats()["accounts"][account_name("sk-1")]
    assert stats["max_in_flight"] == 8
    assert stats["refused"]["concurrency"] == outcomes.count(RefusalKind.CONCURRENCY)


async def test_a_stream_through_a_provider(start: Start) -> None:
    for provider in (
        kimi(),
        OpenAIChatProvider("openai", BearerKey("sk-1"), clock=lambda: 0.0),
    ):
        _, url = await start(Settings(latency=Latency(per_token=LogNormal(0.001))))
        connection = await reach(url)
        for _ in range(2):
            sink = Pieces()
            answer = await provider.stream(connection, STREAM, "kimi-k2.6", PATIENT, sink)
            assert sink.text == answer.content
            assert answer.content.startswith("You said: “Hello!”.")
            assert (answer.completion_tokens, answer.finish_reason) == (40, "stop")
            assert connection.reusable
        assert "kimi-k2.6" in await provider.models(connection, PATIENT)
        await provider.ping(connection, PATIENT)
        assert connection.exchanges == 4
        connection.close()


async def test_a_signed_glm_key_is_let_in_and_a_forged_one_is_not(start: Start) -> None:
    now = 4_000_000_000.0
    _, url = await start(Settings(wire="glm", api_keys=frozenset({"ident.secret"})))
    for key, good in (("ident.secret", True), ("ident.forged", False)):
        credential = SignedToken(key, lambda: now)
        provider = GLMProvider("glm", credential, clock=lambda: now)
        connection = await reach(url)
        if good:
            answer = await provider.complete(connection, WHOLE, "glm-5", PATIENT)
            assert answer.model == "glm-5"
        else:
            with pytest.raises(ProviderRefused) as caught:
                await provider.complete(connection, WHOLE, "glm-5", PATIENT)
            assert caught.value.refusal.kind is RefusalKind.CREDENTIAL
        connection.close()
