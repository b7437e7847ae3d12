"""`auth`: who is asking, by an API key or a JSON Web Token.

Keys are stored as SHA-256 digests and looked up by the digest of what was presented. A key has
256 random bits, so a slow hash would protect nothing, and the time of a look-up by digest says
nothing about a key. The final comparison is constant-time all the same.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Sequence
from hashlib import sha256
from typing import Protocol

from mcp_gateway.config.client_keys import ClientKey
from mcp_gateway.errors import PermissionDenied, Unauthenticated
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import ANONYMOUS, Client, Exchange, Face
from mcp_gateway.proxy.middleware import Handler
from mcp_gateway.proxy.pattern import compile_pattern


class TokenVerifier(Protocol):
    """Verifies a JSON Web Token; `jwt.JWTVerifier` is one."""

    async def verify(self, token: str) -> Client:
        """Who the token says is asking. Raises Unauthenticated."""


class AuthLayer:
    """Sets `exchange.client`, or refuses.

    Raises:
        Unauthenticated: no credential, or one that is not known here.
        PermissionDenied: the credential does not allow the model that is asked for.
    """

    def __init__(
        self,
        keys: Sequence[ClientKey],
        tokens: TokenVerifier | None = None,
        *,
        anonymous: bool = False,
    ) -> None:
        self._clients = {key.digest: _client(key) for key in keys}
        self._tokens = tokens
        self._anonymous = anonymous

    def __call__(self, exchange: Exchange, handler: Handler) -> Awaitable[ChatAnswer | None]:
        """Refuse, or go on as the client found."""
        credential = exchange.credential
        if exchange.face is Face.EMBEDDED:
            # Code of this very process holds every key already.
            return self._go_on(exchange, handler)
        if credential:
            client = self._by_key(credential)
            if client is None:
                return self._with_token(exchange, handler)
            exchange.client = client
        elif not self._anonymous:
            raise Unauthenticated(
                "a credential is required: send an API key or a token as "
                "`Authorization: Bearer ...`"
            )
        return self._go_on(exchange, handler)

    async def _with_token(self, exchange: Exchange, handler: Handler) -> ChatAnswer | None:
        exchange.client = await self._by_token(exchange.credential)
        return await self._go_on(exchange, handler)

    @staticmethod
    def _go_on(exchange: Exchange, handler: Handler) -> Awaitable[ChatAnswer | None]:
        allowed, call = exchange.client.models, exchange.call
        if call is not None and allowed is not None and not allowed(call.model):
            raise PermissionDenied(
                f"the key of client {exchange.client.name!r} does not allow "
                f"model {call.model[:100]!r}"
            )
        return handler(exchange)

    def _by_key(self, credential: str) -> Client | None:
        digest = sha256(credential.encode("utf-8", "surrogateescape")).digest()
        found = self._clients.get(digest)
        if found is None or not hmac.compare_digest(found[0], digest):
            return None
        return found[1]

    async def _by_token(self, credential: str) -> Client:
        if self._tokens is not None and credential.count(".") == 2:
            return await self._tokens.verify(credential)
        if self._anonymous and not self._clients and self._tokens is None:
            # Client libraries insist on sending some key; where nobody needs one, any will do.
            return ANONYMOUS
        raise Unauthenticated("the credential is not known here")


def _client(key: ClientKey) -> tuple[bytes, Client]:
    client = Client(
        name=key.name,
        models=compile_pattern(key.models) if key.models is not None else None,
        requests_per_second=key.requests_per_second,
        burst=key.burst,
    )
    return key.digest, client
