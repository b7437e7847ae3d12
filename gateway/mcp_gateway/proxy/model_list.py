"""The models of one account: asked for once in a while, remembered, never waited for long.

Providers rotate their models, so nothing is hard-coded: `GET /models` is the truth, and what
the document lists stands in where a provider has no such list or does not answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from mcp_gateway.errors import GatewayError
from mcp_gateway.providers.base import ProviderRefused
from mcp_gateway.proxy.account import Account
from mcp_gateway.upstream.aside import aside

log = logging.getLogger(__name__)

FRESH = 300.0
RETRY = 30.0
"""Seconds a failed question is not asked again: Kimi's lowest tier allows three requests a
minute, and they are for the clients."""
PATIENCE = 5.0
"""Seconds for a connection, and again for the answer."""
CLIENT = "@models"
MAX_MODELS = 2048


class ModelList:
    """Caches `GET /models` of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._identity = account.identity
        self._models: Sequence[str] = ()
        self._asked = float("-inf")
        self._answered = False
        self._asking = asyncio.Lock()

    async def get(self) -> Sequence[str]:
        """Model names in the provider's order; what is known is better than an error."""
        listed = self._account.spec.models
        if listed:
            return listed
        if not self._due():
            return self._models
        async with self._asking:
            if self._due():
                await self._ask()
        return self._models

    def is_of(self, account: Account) -> bool:
        """It lists what this account can call, by the credential that it has now."""
        return self._account is account and self._identity == account.identity

    def _due(self) -> bool:
        age = self._account.loop.time() - self._asked
        return age > (FRESH if self._answered else RETRY)

    async def _ask(self) -> None:
        account = self._account
        asked = account.loop.time()
        try:
            async with aside(account.pool, CLIENT, asked + PATIENCE) as (connection, _):
                timeouts = replace(account.timeouts, total=PATIENCE)
                models = await account.provider.models(connection, timeouts)
        except (GatewayError, ProviderRefused) as exc:
            # Noted at the end: who leaves in the middle has not found out anything.
            self._asked, self._answered = asked, False
            account.last_error = f"models: {exc}"
            log.warning(
                "a provider does not list its models",
                extra={"fields": {"provider": account.name, "error": str(exc)}},
            )
            return
        self._models = tuple(models[:MAX_MODELS])
        self._asked, self._answered = asked, True
