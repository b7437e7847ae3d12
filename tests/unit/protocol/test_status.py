from __future__ import annotations

import pytest

from mcp_gateway.errors import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    GatewayError,
    HeaderMismatch,
    InvalidMessage,
    NoRoute,
    Overloaded,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    Unauthenticated,
    UnknownMethod,
    UnsupportedProtocolVersion,
)
from mcp_gateway.protocol.status import http_status
from mcp_gateway.protocol.versions import Era


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidMessage("x", code=PARSE_ERROR), 400),
        (InvalidMessage("x", code=INVALID_REQUEST), 400),
        (InvalidMessage("x", code=INVALID_PARAMS), 400),
        (HeaderMismatch("x"), 400),
        (UnsupportedProtocolVersion("x"), 400),
        (UnknownMethod("x"), 404),
        (PayloadTooLarge("x"), 413),
        (Unauthenticated("x"), 401),
        (PermissionDenied("x"), 403),
        (RateLimited("x"), 429),
        (Overloaded("x"), 503),
        (GatewayError("x"), 500),
    ],
)
def test_a_stateless_error_has_its_own_status(error: GatewayError, status: int) -> None:
    assert http_status(error, Era.STATELESS) == status


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidMessage("x", code=PARSE_ERROR), 400),
        (InvalidMessage("x", code=INVALID_REQUEST), 400),
        (UnsupportedProtocolVersion("x"), 400),
        (PayloadTooLarge("x"), 413),
        (Unauthenticated("x"), 401),
        (PermissionDenied("x"), 403),
    ],
)
def test_what_http_acts_on_has_its_status_in_the_handshake_era_too(
    error: GatewayError, status: int
) -> None:
    assert http_status(error, Era.HANDSHAKE) == status


@pytest.mark.parametrize(
    "error",
    [
        InvalidMessage("x", code=INVALID_PARAMS),
        UnknownMethod("x"),
        NoRoute("x"),
        RateLimited("x"),
        Overloaded("x"),
        GatewayError("x"),
    ],
)
def test_an_answered_request_of_the_handshake_era_is_200(error: GatewayError) -> None:
    assert http_status(error, Era.HANDSHAKE) == 200
