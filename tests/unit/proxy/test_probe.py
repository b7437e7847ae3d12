from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.support.fake_upstream import answer
from tests.support.scripted_provider import Script, Step, breaks, hangs, refuses

from mcp_gateway.api import AccountLimits
from mcp_gateway.proxy.probe import PATIENCE, probe


def lists(*models: str) -> Step:
    body = {"object": "list", "data": [{"id": model, "object": "model"} for model in models]}
    text = json.dumps(body).encode()
    return lambda transport: transport.feed(
        answer(text, extra=b"Content-Type: application/json\r\n")
    )


async def asked(*steps: Step, models: tuple[str, ...] = (), **settings: Any) -> tuple[str, str]:
    result = await probe(Script("kimi", *steps, **settings).account, models)
    assert result.provider == "kimi"
    return result.state, result.message


async def test_an_account_that_answers_is_healthy() -> None:
    script = Script("kimi", lists("kimi-k2"))

    assert (await probe(script.account, ())).state == "Healthy"
    (request,) = script.requests
    assert request.startswith(b"GET /v1/models ")


async def test_a_model_that_the_provider_does_not_list_is_named() -> None:
    state, message = await asked(lists("kimi-k2"), models=("kimi-k2", "kimi-k0", "kimi-k1"))

    assert (state, message) == ("ModelUnknown", "does not list kimi-k0, kimi-k1")


async def test_models_that_are_all_listed_are_fine() -> None:
    assert await asked(lists("a", "b"), models=("b", "b")) == ("Healthy", "")


@pytest.mark.parametrize("models", [(), ("kimi-k2",)])
async def test_a_provider_without_a_list_of_models_counts(models: tuple[str, ...]) -> None:
    state, _ = await asked(refuses(404, "not_found"), models=models)

    assert state == "Healthy"


@pytest.mark.parametrize(
    ("step", "state", "word"),
    [
        (refuses(401, "invalid_authentication_error"), "CredentialRefused", "credential, 401"),
        (refuses(403, "permission_denied_error"), "CredentialRefused", "permission, 403"),
        (refuses(500, "server_error"), "Unreachable", "server, 500"),
        (refuses(429, "exceeded_current_quota_error"), "Unreachable", "quota, 429"),
        (breaks, "Unreachable", "kimi"),
    ],
)
async def test_a_failure_is_told_apart(step: Step, state: str, word: str) -> None:
    found, message = await asked(step)

    assert found == state
    assert word in message or step is breaks
    assert "sk-test" not in message


async def test_a_refusal_for_frequency_proves_the_credential_and_drains_the_rate() -> None:
    script = Script("kimi", refuses(429, "rate_limit_reached_error", "max RPM: 3, try again later"))

    assert (await probe(script.account, ())).state == "Healthy"
    assert script.account.rates.limited


async def test_a_silent_provider_is_unreachable_in_the_end() -> None:
    state, _ = await asked(hangs)

    assert state == "Unreachable"


async def test_the_accounts_rate_is_kept_to() -> None:
    limits = AccountLimits(requests_per_minute=1)
    script = Script("kimi", lists("a"), limits=limits)
    await probe(script.account, ())
    began = asyncio.get_running_loop().time()
    result = await probe(script.account, ())

    assert asyncio.get_running_loop().time() - began <= PATIENCE
    assert (result.state, len(script.requests)) == ("Healthy", 1)
    assert "not asked" in result.message


async def test_a_full_account_is_not_pushed_aside() -> None:
    script = Script("kimi", lists("a"), limits=AccountLimits(concurrency=1))
    lease = await script.account.pool.acquire(client="c", lane="", deadline=None)
    result = await probe(script.account, ())
    lease.release()

    assert result.state == "Unreachable"
    assert script.requests == []


async def test_an_open_breaker_is_neither_asked_nor_told() -> None:
    script = Script("kimi", lists("a"))
    now = asyncio.get_running_loop().time()
    script.account.breaker.open_until(now, now + 600.0)

    assert (await probe(script.account, ())).state == "Healthy"
    assert not script.account.available()
