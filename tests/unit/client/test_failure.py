from __future__ import annotations

import pytest

from mcp_gateway import errors
from mcp_gateway.client.failure import from_rpc, from_status, from_tool
from mcp_gateway.errors import (
    CircuitOpen,
    ConnectionLost,
    GatewayError,
    InvalidMessage,
    NoRoute,
    Overloaded,
    PoolSaturated,
    RateLimited,
    Unauthenticated,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)

ERRORS: list[GatewayError] = [
    RateLimited("too fast", retry_after=1.5),
    NoRoute("no route for x"),
    Overloaded("full"),
    CircuitOpen("open", provider="kimi", retry_after=10.0),
    PoolSaturated("full", provider="glm"),
    UpstreamTimeout("silent", phase="first_byte", provider="kimi"),
    ConnectionLost("gone", provider="kimi"),
    UpstreamRefused(
        "no", status=429, kind="concurrency", code="1302", provider="glm", retry_after=3.0
    ),
    InvalidMessage("no such tool", code=errors.INVALID_PARAMS),
    errors.UnsupportedProtocolVersion("other", details={"supported": ["2026-07-28"]}),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.reason)
def test_an_error_survives_the_wire(error: GatewayError) -> None:
    again = from_rpc(error.rpc_code, str(error), error.data())

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.rpc_code == error.rpc_code
    assert again.data() == error.data()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.reason)
def test_an_error_survives_a_tools_result(error: GatewayError) -> None:
    fields = {"code": error.reason, "message": str(error), **error.data()}
    del fields["reason"]

    again = from_tool(fields)

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.data() == error.data()


def test_every_class_of_the_hierarchy_can_be_rebuilt() -> None:
    for cls in vars(errors).values():
        if isinstance(cls, type) and issubclass(cls, GatewayError):
            assert type(from_tool({"code": cls.__name__, "message": "x"})) is cls


def test_the_attributes_of_special_errors_come_back() -> None:
    refused = from_tool(
        {"code": "UpstreamRefused", "message": "x", "status": 429, "kind": "tokens"}
    )
    assert isinstance(refused, UpstreamRefused)
    assert (refused.kind, refused.http_status, refused.code) == ("tokens", 429, "")
    timeout = from_tool({"code": "UpstreamTimeout", "message": "x", "phase": "idle"})
    assert isinstance(timeout, UpstreamTimeout)
    assert timeout.phase == "idle"


def test_an_unknown_class_becomes_the_nearest_one_and_keeps_its_name() -> None:
    error = from_rpc(429, "later", {"reason": "TooManyMoons"})

    assert type(error) is RateLimited
    assert error.data() == {"reason": "TooManyMoons"}
    assert type(from_rpc(-32099, "x", {})) is GatewayError
    assert type(from_tool({"code": "SomethingNew", "message": "x"})) is UpstreamError


def test_data_of_another_form_is_no_obstacle() -> None:
    assert type(from_rpc(401, "who are you", None)) is Unauthenticated
    assert type(from_rpc(401, "who are you", [1, 2])) is Unauthenticated
    assert from_rpc(429, "x", {"retryAfter": "soon"}).retry_after is None
    assert from_tool({}).reason == "UpstreamError"


def test_a_class_of_another_module_is_not_reached_through_the_wire() -> None:
    class Elsewhere(GatewayError):
        pass

    assert type(from_rpc(500, "x", {"reason": Elsewhere.__name__})) is GatewayError


def test_a_status_without_a_message_becomes_an_error() -> None:
    error = from_status(503, "full", 2.0)

    assert type(error) is Overloaded
    assert error.retry_after == 2.0
    assert type(from_status(418, "x")) is GatewayError
