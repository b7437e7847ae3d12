"""How a provider account proves itself: the request headers its credential makes.

A credential is a source of headers with an end: a bearer key never ends, a signed token does.
`head` splices what comes from here; nothing else sees the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from mcp_gateway.errors import ConfigError
from mcp_gateway.providers import head

TOKEN_LIFETIME = 180.0
"""Seconds one signed token is valid: as long as the vendor's own client makes it."""

RENEW_BEFORE = 60.0
"""Seconds before its end a token is not used any more: a request may travel that long."""


class Credential(Protocol):
    """A source of authorization headers."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that must never appear in a message."""

    def headers(self) -> tuple[Mapping[bytes, bytes], float]:
        """The headers, and the wall-clock second from which they are no longer good."""


class BearerKey:
    """A key that is sent as it is. No key at all is a server that asks for none.

    Raises:
        ConfigError: the key cannot stand in a header.
    """

    def __init__(self, key: str | None) -> None:
        self.secrets = (key,) if key else ()
        self._headers = head.bearer(key)

    def headers(self) -> tuple[Mapping[bytes, bytes], float]:
        """See `Credential`."""
        return self._headers, math.inf


class SignedToken:
    """A GLM key `id.secret`, sent as a short-lived token signed with the secret.

    The form is the vendor's: HS256, header `sign_type: SIGN`, payload `api_key`, `exp` and
    `timestamp` in milliseconds. Python's `hmac` is enough for it.

    Args:
        key: the key, `id.secret`.
        clock: wall-clock seconds.

    Raises:
        ConfigError: the key is not of that form; the message does not repeat it.
    """

    def __init__(self, key: str, clock: Callable[[], float]) -> None:
        head.bearer(key)
        identity, dot, secret = key.partition(".")
        if not (identity and dot and secret) or "." in secret:
            raise ConfigError('keyFormat "jwt" expects an API key of the form <id>.<secret>')
        self.secrets = (key, secret)
        self._identity = identity
        self._secret = secret.encode("ascii")
        self._clock = clock

    def headers(self) -> tuple[Mapping[bytes, bytes], float]:
        """See `Credential`."""
        now = self._clock()
        token = _sign(self._identity, self._secret, now)
        return {b"authorization": b"Bearer " + token}, now + TOKEN_LIFETIME - RENEW_BEFORE


def _sign(identity: str, secret: bytes, now: float) -> bytes:
    header = {"alg": "HS256", "sign_type": "SIGN"}
    payload = {
        "api_key": identity,
        "exp": round((now + TOKEN_LIFETIME) * 1000),
        "timestamp": round(now * 1000),
    }
    signed = b".".join(_base64(msgspec.json.encode(part)) for part in (header, payload))
    return signed + b"." + _base64(hmac.new(secret, signed, hashlib.sha256).digest())


def _base64(data: bytes) -> bytes:
    # RFC 7515 §2: the URL-safe alphabet without padding.
    return base64.urlsafe_b64encode(data).rstrip(b"=")
