from __future__ import annotations

import ssl

import pytest

from mcp_gateway.client.transport import (
    Settings,
    Unreachable,
    connect_failed,
    refused_connection,
    refused_request,
    retry_after,
)
from mcp_gateway.errors import (
    ConnectFailed,
    Overloaded,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
    UpstreamError,
)

URL = "ws://gateway/mcp"


def test_the_key_is_sent_as_a_bearer_token_and_never_shown() -> None:
    settings = Settings(url=URL, api_key="mgw_secret")

    assert settings.headers() == {"Authorization": "Bearer mgw_secret"}
    assert "secret" not in repr(settings)
    assert Settings(url=URL).headers() == {}


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (401, Unauthenticated),
        (403, PermissionDenied),
        (404, Unreachable),
        (429, RateLimited),
        (503, Overloaded),
        (502, ConnectFailed),
    ],
)
def test_a_refused_upgrade_says_why(status: int, cls: type[Exception]) -> None:
    error = refused_connection(URL, status, 3.0)

    assert type(error) is cls
    assert f"{URL} answered {status}" in str(error)


def test_only_refusals_that_pass_are_worth_another_try() -> None:
    retryable = {s for s in range(200, 600) if refused_connection(URL, s).retryable}

    assert retryable == {429, 502, 503, 504}


def test_a_redirect_is_not_followed() -> None:
    error = refused_connection(URL, 301)

    assert isinstance(error, ConnectFailed)
    assert not error.retryable
    assert error.reason == "ConnectFailed"


def test_nobody_there_is_worth_another_try() -> None:
    error = connect_failed(URL, ConnectionRefusedError(111, "Connection refused"))

    assert type(error) is ConnectFailed
    assert error.retryable
    assert "Connection refused" in str(error)


def test_a_timeout_deep_down_is_told_as_one() -> None:
    outer = OSError("outer")
    outer.__cause__ = TimeoutError()

    assert "did not answer in time" in str(connect_failed(URL, outer))


def test_a_certificate_that_is_not_trusted_stays_so() -> None:
    inner = ssl.SSLCertVerificationError("verify failed")
    inner.verify_message = "self-signed certificate"
    outer = OSError("connect")
    outer.__context__ = inner

    error = connect_failed("wss://gateway/mcp", outer)

    assert not error.retryable
    assert "self-signed certificate" in str(error)


def test_causes_in_a_circle_end() -> None:
    first, second = OSError("a"), OSError("b")
    first.__cause__, second.__cause__ = second, first

    assert isinstance(connect_failed(URL, first), ConnectFailed)


def test_an_answer_without_words_is_told_by_its_status() -> None:
    assert type(refused_request("http://g/mcp", 401)) is Unauthenticated
    assert type(refused_request("http://g/mcp", 404)) is Unreachable
    assert type(refused_request("http://g/mcp", 500)) is UpstreamError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        (" 10 ", 10.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_where_it_is_a_number(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds
