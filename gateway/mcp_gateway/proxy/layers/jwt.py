"""JSON Web Tokens: signature by the issuer's published keys, issuer, audience, expiry.

Verifying costs tens of microseconds, so a token that was verified is remembered until it
expires, in a bounded table under its digest.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import httpx
import jwt

from mcp_gateway.api.auth import JWT
from mcp_gateway.errors import Unauthenticated
from mcp_gateway.proxy.exchange import Client
from mcp_gateway.proxy.pattern import Fullmatch, compile_pattern

REMEMBERED = 4096
KEYS_TTL = 600.0
KEYS_RETRY = 10.0
"""Seconds between two fetches that a token with an unknown key id can cause."""
FETCH_TIMEOUT = 5.0
"""Seconds for a fetch, from its connection to its last byte."""
MAX_KEY_SET = 256 * 1024
LEEWAY = 10.0
MAX_PATTERN = 512


@dataclass(frozen=True, slots=True)
class _Verified:
    client: Client
    expires: float


class JWTVerifier:
    """Verifies tokens of one issuer. Owned by a snapshot; holds no connection between fetches."""

    def __init__(self, settings: JWT) -> None:
        self._settings = settings
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._problem = ""  # why the last fetch failed
        self._verified: dict[bytes, _Verified] = {}

    async def verify(self, token: str) -> Client:
        """Who the token says is asking.

        Raises:
            Unauthenticated: not signed by the issuer, expired, for another audience, or the
                issuer's keys cannot be had.
        """
        digest = sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = self._verified.get(digest)
        if known is not None and known.expires > time.time():
            return known.client
        key = await self._key(_key_id(token))
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=list(self._settings.algorithms),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as exc:
            raise Unauthenticated(f"the token is not valid: {exc}") from exc
        client = self._client(claims)
        if len(self._verified) >= REMEMBERED:
            self._verified.clear()
        self._verified[digest] = _Verified(client, float(claims["exp"]))
        return client

    def _client(self, claims: dict[str, Any]) -> Client:
        name = claims.get(self._settings.name_claim)
        # Python reads half surrogate pairs out of JSON, which no log, header or answer can say.
        if not isinstance(name, str) or not name or not name.isprintable():
            raise Unauthenticated(
                f"the token has no claim {self._settings.name_claim!r} in printable text"
            )
        return Client(name=name[:128], models=self._models(claims))

    def _models(self, claims: dict[str, Any]) -> Fullmatch | None:
        if self._settings.models_claim is None:
            return None
        pattern = claims.get(self._settings.models_claim)
        if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
            raise Unauthenticated(
                f"the token has no claim {self._settings.models_claim!r} "
                f"with an expression of up to {MAX_PATTERN} characters"
            )
        try:
            return compile_pattern(pattern)
        except ValueError as exc:
            raise Unauthenticated(
                f"the token's claim {self._settings.models_claim!r} is not an RE2 expression"
            ) from exc

    async def _key(self, key_id: str | None) -> jwt.PyJWK:
        found = self._find(key_id, KEYS_TTL)
        if found is None:
            await self._refresh()
            found = self._find(key_id, float("inf"))
        if found is None:
            # An issuer that is away for a moment locks nobody out: the old keys stay.
            raise Unauthenticated(
                self._problem
                if self._problem and not self._keys
                else "the token is signed with a key its issuer does not publish"
            )
        return found

    async def _refresh(self) -> None:
        """Fetch the keys, unless that was tried a moment ago.

        In a task of its own: whoever leaves must not break off what all the others wait for.
        """
        if self._fetching is None:
            if time.monotonic() - self._fetched <= KEYS_RETRY:
                return
            self._fetching = asyncio.create_task(self._fetch(), name="fetch the issuer's keys")
        await asyncio.shield(self._fetching)

    def _find(self, key_id: str | None, age: float) -> jwt.PyJWK | None:
        if time.monotonic() - self._fetched > age:
            return None
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _fetch(self) -> None:
        self._fetched = time.monotonic()
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                keys = jwt.PyJWKSet.from_dict(json.loads(await self._download()))
        except (
            httpx.HTTPError,
            TimeoutError,
            ValueError,
            AttributeError,
            TypeError,
            RecursionError,
            jwt.PyJWTError,
        ) as exc:
            reason = str(exc) or type(exc).__name__
            self._problem = (
                f"the issuer's keys cannot be had from {self._settings.jwks_uri}: {reason}"
            )
        else:
            self._problem = ""
            self._keys = {key.key_id: key for key in keys.keys}
        finally:
            self._fetching = None

    async def _download(self) -> bytes:
        # No proxy of the environment: who sets one would hand out the keys we trust. What the
        # environment says of certificates holds.
        tls = httpx.create_ssl_context(trust_env=True)
        async with (
            httpx.AsyncClient(timeout=FETCH_TIMEOUT, trust_env=False, verify=tls) as http,
            http.stream("GET", self._settings.jwks_uri) as response,
        ):
            response.raise_for_status()
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_KEY_SET:
                    raise ValueError(f"the key set is over {MAX_KEY_SET} bytes")
            return bytes(body)


def _key_id(token: str) -> str | None:
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError as exc:
        raise Unauthenticated(f"the credential is not a key, nor a token: {exc}") from exc
    return key_id if isinstance(key_id, str) else None
