from __future__ import annotations

import msgspec
import pytest
from tests.support.scripted_provider import MESSAGES

from mcp_gateway import errors
from mcp_gateway.errors import GatewayError
from mcp_gateway.providers.base import ChatCall
from mcp_gateway.proxy import hop
from mcp_gateway.proxy.failure import judge

REFUSED = errors.UpstreamRefused(
    "no",
    status=401,
    kind="credential",
    code="invalid_authentication",
    provider="kimi",
    retry_after=None,
)
ERRORS: list[GatewayError] = [
    REFUSED,
    errors.UpstreamRefused("no", status=429, kind="concurrency", retry_after=1.5),
    errors.UpstreamTimeout("silent", phase="first_byte"),
    errors.UpstreamTimeout("silent", phase="connect"),
    errors.ConnectionLost("gone", reused=True),
    errors.ConnectionLost("gone", answered=True),
    errors.ConnectFailed("refused"),
    errors.CircuitOpen("open", retry_after=7.0),
    errors.PoolTimeout("late"),
    errors.PoolSaturated("full"),
    errors.PoolClosed("closed"),
    errors.Misdirected("nothing held"),
    errors.DeadlineExceeded("late"),
    errors.RequestCancelled("gone"),
    errors.RemoteProtocolError("garbage"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{error.reason}-{ERRORS.index(error)}")
def test_an_error_arrives_as_it_was(error: GatewayError) -> None:
    outcome = hop.read_outcome(hop.encode(hop.Outcome(error=hop.failure_of(error))))
    assert outcome is not None
    assert outcome.error is not None
    arrived = hop.error_of(outcome.error, "kimi")
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.retry_after, arrived.http_status) == (
        str(error),
        error.retry_after,
        error.http_status,
    )
    assert judge(arrived) == judge(error)
    assert arrived.provider == "kimi"
    assert arrived.details == error.details


@pytest.mark.parametrize(
    "failure",
    [
        hop.Failure("Something", "of a newer version"),
        hop.Failure("UpstreamRefused", kind="of a newer version", status=429),
        hop.Failure("ConfigError", "which no attempt raises"),
    ],
)
def test_an_error_that_is_not_known_is_one_of_the_upstream(failure: hop.Failure) -> None:
    assert type(hop.error_of(failure, "kimi")) is errors.UpstreamError


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"queue":-1}', b'{"upstream":1e9}', b'{"error":{}}', b"\xff"]
)
def test_what_is_no_outcome_is_not_read_as_one(data: bytes) -> None:
    assert hop.read_outcome(data) is None


@pytest.mark.parametrize(
    ("path", "provider"),
    [
        ("/v1/providers/kimi/chat", "kimi"),
        ("/v1/providers//chat", ""),
        ("/v1/providers/chat", ""),
        ("/v1/chat/completions", ""),
        ("/v1/providers/kimi", ""),
    ],
)
def test_a_path_names_its_provider(path: str, provider: str) -> None:
    assert hop.provider_of(path) == provider


def call(model: str = "kimi-k2", *, body: bytes | None = None, stream: bool = False) -> ChatCall:
    fields = {"model": msgspec.Raw(msgspec.json.encode(model)), "messages": MESSAGES}
    return ChatCall(model=model, fields=fields, body=body, stream=stream)


def test_the_clients_own_bytes_travel_where_nothing_changes() -> None:
    assert hop.body_of(call(body=b'{"as": "it came"}'), "kimi-k2") == b'{"as": "it came"}'


@pytest.mark.parametrize(
    ("made", "model"),
    [
        (call(), "kimi-k2"),
        (call(body=b'{"stream": true}', stream=True), "kimi-k2"),
        (call("best", body=b"{}"), "kimi-k2"),
    ],
)
def test_a_chat_arrives_as_the_provider_is_to_get_it(made: ChatCall, model: str) -> None:
    arrived = hop.read_call(hop.body_of(made, model))
    assert arrived is not None
    assert arrived.model == "kimi-k2"
    assert arrived.body == hop.body_of(made, model)
    assert set(arrived.fields) == {"model", "messages"}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"model":1,"messages":[]}', b'{"model":"","messages":[]}',
             b'{"model":"kimi"}', b"\xff" * 9, b"[" * 100_000]
)  # fmt: skip
def test_what_is_no_chat_is_not_read_as_one(body: bytes) -> None:
    assert hop.read_call(body) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        (b"", None),
        (b"soon", None),
        (b"nan", None),
        (b"-1", None),
        (b"0.250", 0.25),
        (b"inf", hop.MAX_SECONDS),
    ],
)
def test_seconds_are_read_as_what_they_are(value: bytes | None, seconds: float | None) -> None:
    assert hop.read_seconds(value) == seconds
