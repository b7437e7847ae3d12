"""Asks a provider the cheapest thing it has, and says in one word what that means.

For whoever watches a fleet: one pod asks, not all, and never outside the account's own limits.
The circuit breaker is neither asked nor told: a question about a provider that is in trouble is
what this is for, and its answer says nothing about chats.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from mcp_gateway.api.control import ProbeResult, ProbeState
from mcp_gateway.api.quota import MAX_TEXT
from mcp_gateway.errors import GatewayError
from mcp_gateway.providers.base import ChatCall, ProviderRefused, Refusal, RefusalKind
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.turn import Turn
from mcp_gateway.upstream.aside import aside
from mcp_gateway.upstream.connection import Connection

CLIENT = "@probe"
PATIENCE = 15.0
"""Seconds a question may wait for the account's rates and for a connection."""

_NO_TOKENS = ChatCall(
    model="", fields={"messages": msgspec.Raw(b""), "max_tokens": msgspec.Raw(b"0")}
)
"""What a question costs of the account's rates: one request, no tokens."""
_NO_SUCH_PATH = (404, 405)

_STATES: dict[RefusalKind, ProbeState] = {
    RefusalKind.CREDENTIAL: "CredentialRefused",
    RefusalKind.PERMISSION: "CredentialRefused",
    RefusalKind.MODEL: "ModelUnknown",
    # Whoever counts requests has read the credential, and is there.
    RefusalKind.CONCURRENCY: "Healthy",
    RefusalKind.FREQUENCY: "Healthy",
    RefusalKind.TOKENS: "Healthy",
}


async def probe(account: Account, models: Collection[str]) -> ProbeResult:
    """Ask one account.

    Args:
        account: whom.
        models: names that the document sends there, to be looked for in the provider's list.
    """
    try:
        state, message = await _ask(account, models)
    except ProviderRefused as exc:
        state, message = _refused(account, exc.refusal)
    except GatewayError as exc:
        state, message = "Unreachable", str(exc)
    return ProbeResult(provider=account.name, state=state, message=message[:MAX_TEXT])


async def _ask(account: Account, models: Collection[str]) -> tuple[ProbeState, str]:
    deadline = account.loop.time() + PATIENCE
    turn = None
    if account.rates.limited:
        turn = await account.rates.take(_NO_TOKENS, deadline, CLIENT)
        if turn is None:
            return "Healthy", "not asked: the account is at its rate limit"
    try:
        return await _ask_by(account, models, turn, deadline)
    finally:
        if turn is not None:
            turn.cancel()


async def _ask_by(
    account: Account, models: Collection[str], turn: Turn | None, deadline: float
) -> tuple[ProbeState, str]:
    async with aside(account.pool, CLIENT, deadline) as (connection, lease):
        if turn is not None:
            turn.begin(account.loop.time())
        try:
            return await _ask_on(connection, account, models)
        except ProviderRefused as exc:
            if exc.refusal.kind is RefusalKind.CONCURRENCY and lease is not None:
                lease.refused()
            raise


async def _ask_on(
    connection: Connection, account: Account, models: Collection[str]
) -> tuple[ProbeState, str]:
    # Names that the document lists itself stand in for a list that the provider does not have.
    wanted = [] if account.spec.models else sorted(set(models))
    if not wanted:
        await account.provider.ping(connection, account.timeouts)
        return "Healthy", ""
    try:
        known = await account.provider.models(connection, account.timeouts)
    except ProviderRefused as exc:
        if exc.refusal.status in _NO_SUCH_PATH:
            return "Healthy", "has no list of models"
        raise
    missing = [name for name in wanted if name not in known]
    if missing:
        return "ModelUnknown", f"does not list {', '.join(missing)}"
    return "Healthy", ""


def _refused(account: Account, refusal: Refusal) -> tuple[ProbeState, str]:
    if refusal.kind is RefusalKind.FREQUENCY:
        account.rates.drain_requests(account.loop.time(), refusal.retry_after)
    state = _STATES.get(refusal.kind, "Unreachable")
    code = f" {refusal.code}" if refusal.code else ""
    return state, f"{refusal.kind.value}, {refusal.status}{code}: {refusal.message}"
