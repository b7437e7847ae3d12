"""Whose account a request is on, by its `Authorization` header."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec

_REMEMBERED = 1024


class _Header(msgspec.Struct):
    alg: str
    sign_type: str


class _Payload(msgspec.Struct):
    api_key: str
    exp: float


class Doorkeeper:
    """Finds the account of a request; with a list of keys, lets only those in.

    Args:
        api_keys: the keys that are let in; empty lets any key in.
        tokens: signed GLM tokens are understood beside keys.
    """

    __slots__ = ("_identities", "_keys", "_known", "_tokens")

    def __init__(self, api_keys: frozenset[str], *, tokens: bool) -> None:
        self._keys = api_keys
        self._tokens = tokens
        self._identities = dict(key.partition(".")[::2] for key in api_keys)
        self._known: dict[bytes, tuple[str, float]] = {}

    def account(self, authorization: bytes, wall: float) -> str | None:
        """The account's name, or None for a request that is not let in.

        Args:
            authorization: the header's value, empty where there is none.
            wall: wall-clock seconds, against which a token's end is held.
        """
        known = self._known.get(authorization)
        if known is None or wall >= known[1]:
            known = self._look_up(authorization, wall)
            if known is None:
                return None
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[authorization] = known
        return known[0]

    def _look_up(self, authorization: bytes, wall: float) -> tuple[str, float] | None:
        scheme, _, value = authorization.partition(b" ")
        key = value.strip().decode("latin-1")
        if scheme.lower() != b"bearer" or not key:
            return None
        if self._tokens and key.count(".") == 2:
            return self._of_token(key, wall)
        if self._keys and key not in self._keys:
            return None
        # A key and the tokens signed with it are one account.
        identity = key.partition(".")[0] if self._tokens else key
        return account_name(identity), float("inf")

    def _of_token(self, token: str, wall: float) -> tuple[str, float] | None:
        signed, _, signature = token.rpartition(".")
        head, _, body = signed.partition(".")
        try:
            header = msgspec.json.decode(_decode(head), type=_Header)
            payload = msgspec.json.decode(_decode(body), type=_Payload)
            given = _decode(signature)
        except (msgspec.DecodeError, ValueError):
            return None
        expires = payload.exp / 1000.0
        if header.alg != "HS256" or header.sign_type != "SIGN" or wall >= expires:
            return None
        if self._keys:
            secret = self._identities.get(payload.api_key, "").encode()
            expected = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
            if not secret or not hmac.compare_digest(expected, given):
                return None
        return account_name(payload.api_key), expires


def account_name(key: str) -> str:
    """What statistics call an account: never the key, always the same for it."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
