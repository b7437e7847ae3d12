from __future__ import annotations

import json
from typing import Any

import pytest

from mcp_gateway.providers import refusal
from mcp_gateway.providers.base import RefusalKind
from mcp_gateway.providers.credential import BearerKey
from mcp_gateway.providers.glm import GLMProvider
from mcp_gateway.providers.kimi import KimiProvider
from mcp_gateway.providers.openai_chat import OpenAIChatProvider
from mcp_gateway.simulator.account import Account, Denial
from mcp_gateway.simulator.settings import FailureKind, Limits
from mcp_gateway.simulator.wire import WIRES, ErrorReply

NOW = 1_790_000_000.0
KIMI, GLM = WIRES["kimi"], WIRES["glm"]


def error(reply: ErrorReply) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(reply.body)["error"]
    return read


def understood(name: str, reply: ErrorReply) -> RefusalKind:
    """What the gateway's own provider makes of it."""
    maker: type[OpenAIChatProvider] = {"kimi": KimiProvider, "glm": GLMProvider}[name]
    provider = maker(name, BearerKey("k"), clock=lambda: NOW)
    return provider.classify(refusal.read(reply.status, {}, reply.body, NOW))


@pytest.mark.parametrize(
    ("cause", "said", "kind"),
    [
        ("concurrency", "request reached max organization concurrency: 5, please try again after"
         " 3.2 seconds", RefusalKind.CONCURRENCY),
        ("rpm", "request reached organization max RPM: 5, please try again after 3 seconds",
         RefusalKind.FREQUENCY),
        ("tpm", "request reached organization TPM rate limit, current: 4, limit: 5",
         RefusalKind.TOKENS),
        ("tpd", "request reached organization TPD rate limit, current: 4, limit: 5",
         RefusalKind.QUOTA),
    ],
)  # fmt: skip
def test_kimi_names_the_limit_in_the_message(cause: str, said: str, kind: RefusalKind) -> None:
    reply = KIMI.denied(Denial(cause, 5, 4, 3.2), "0a1b")
    assert reply.status == 429
    assert error(reply)["type"] == "rate_limit_reached_error"
    assert error(reply)["message"] == f"Your account org-0a1b<ak-0a1b> {said}"
    assert understood("kimi", reply) is kind


@pytest.mark.parametrize(
    ("cause", "code", "kind"),
    [
        ("concurrency", "1302", RefusalKind.CONCURRENCY),
        ("rpm", "1303", RefusalKind.FREQUENCY),
        ("tpm", "1303", RefusalKind.FREQUENCY),
        ("tpd", "1304", RefusalKind.QUOTA),
    ],
)
def test_glm_has_a_code_for_each_limit(cause: str, code: str, kind: RefusalKind) -> None:
    reply = GLM.denied(Denial(cause, 5, 4, 3.0), "0a1b")
    assert (reply.status, error(reply)["code"]) == (429, code)
    assert understood("glm", reply) is kind


@pytest.mark.parametrize("name", ["kimi", "glm"])
@pytest.mark.parametrize(
    ("kind", "status", "meaning"),
    [
        (FailureKind.OVERLOAD, 429, RefusalKind.OVERLOAD),
        (FailureKind.QUOTA, 429, RefusalKind.QUOTA),
        (FailureKind.SERVER, 500, RefusalKind.SERVER),
        (FailureKind.BAD_GATEWAY, 502, RefusalKind.SERVER),
        (FailureKind.UNAVAILABLE, 503, RefusalKind.OVERLOAD),
        (FailureKind.GATEWAY_TIMEOUT, 504, RefusalKind.SERVER),
    ],
)
def test_failures_are_understood(
    name: str, kind: FailureKind, status: int, meaning: RefusalKind
) -> None:
    reply = WIRES[name].failed(kind, NOW)
    assert reply.status == status
    assert understood(name, reply) is meaning


def test_a_used_up_glm_window_names_its_end() -> None:
    reply = GLM.failed(FailureKind.QUOTA, NOW)
    provider = GLMProvider("glm", BearerKey("k"), clock=lambda: NOW)
    reset = provider.quota_reset(refusal.read(reply.status, {}, reply.body, NOW))
    assert reset is not None
    assert 0 < reset <= 5 * 3600


@pytest.mark.parametrize("name", ["kimi", "glm"])
def test_requests_that_are_wrong_are_understood(name: str) -> None:
    wire = WIRES[name]
    assert understood(name, wire.unauthenticated(given=False)) is RefusalKind.CREDENTIAL
    assert understood(name, wire.unauthenticated(given=True)) is RefusalKind.CREDENTIAL
    assert understood(name, wire.unknown_model("m")) is RefusalKind.MODEL
    assert understood(name, wire.invalid("x")) is RefusalKind.REQUEST


def test_only_kimi_has_rate_limit_headers() -> None:
    account, limits = Account(), Limits(requests_per_minute=3)
    account.enter(limits, 100.0, 1)
    assert KIMI.headers(account, limits, 110.0, NOW) == (
        b"x-ratelimit-limit: 3\r\nx-ratelimit-remaining: 2\r\nx-ratelimit-reset: 1790000051\r\n"
    )
    assert KIMI.headers(account, Limits(), 110.0, NOW) == b""
    assert GLM.headers(account, limits, 110.0, NOW) == b""
