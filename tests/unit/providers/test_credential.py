from __future__ import annotations

import math

import jwt
import pytest

from mcp_gateway.errors import ConfigError
from mcp_gateway.providers.credential import (
    RENEW_BEFORE,
    TOKEN_LIFETIME,
    BearerKey,
    SignedToken,
)

NOW = 1_790_000_000.25
SECRET = "a-secret-of-thirty-two-bytes-or-more"


def test_a_bearer_key_never_ends() -> None:
    headers, until = BearerKey("sk-1").headers()
    assert headers == {b"authorization": b"Bearer sk-1"}
    assert until == math.inf
    assert BearerKey("sk-1").secrets == ("sk-1",)
    assert BearerKey(None).secrets == ()


def test_a_signed_token_is_what_the_vendor_describes() -> None:
    headers, until = SignedToken(f"ident.{SECRET}", lambda: NOW).headers()
    token = headers[b"authorization"].removeprefix(b"Bearer ").decode()
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "sign_type": "SIGN"}
    # `exp` is in milliseconds, which no library takes for a date in the past.
    payload = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert payload == {
        "api_key": "ident",
        "timestamp": 1_790_000_000_250,
        "exp": 1_790_000_000_250 + round(TOKEN_LIFETIME * 1000),
    }
    assert until == NOW + TOKEN_LIFETIME - RENEW_BEFORE


def test_the_secret_half_of_a_key_is_a_secret_too() -> None:
    assert SignedToken("ident.secret", lambda: NOW).secrets == ("ident.secret", "secret")


@pytest.mark.parametrize("bad", ["nodot", ".secret", "ident.", "a.b.c", "ident.sec ret"])
def test_a_key_of_another_form_is_refused_without_repeating_it(bad: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SignedToken(bad, lambda: NOW)
    assert bad not in str(caught.value)
