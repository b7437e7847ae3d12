from __future__ import annotations

import jwt
import pytest

from mcp_gateway.providers.credential import SignedToken
from mcp_gateway.simulator.credential import Doorkeeper, account_name

NOW = 1_790_000_000.0
SECRET = "a-secret-of-thirty-two-bytes-or-more"
KEY = f"ident.{SECRET}"


def token(key: str = KEY, at: float = NOW) -> bytes:
    return SignedToken(key, lambda: at).headers()[0][b"authorization"]


def test_any_key_is_an_account_where_none_are_listed() -> None:
    door = Doorkeeper(frozenset(), tokens=False)
    assert door.account(b"Bearer sk-1", NOW) == account_name("sk-1")
    assert door.account(b"bearer  sk-1", NOW) == account_name("sk-1")
    assert door.account(b"Bearer sk-2", NOW) != account_name("sk-1")
    assert "sk-1" not in account_name("sk-1")


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Bearer ", b"Basic abc", b"sk-1"])
def test_a_request_without_a_key_has_no_account(value: bytes) -> None:
    assert Doorkeeper(frozenset(), tokens=False).account(value, NOW) is None


def test_only_listed_keys_are_let_in() -> None:
    door = Doorkeeper(frozenset({"sk-1"}), tokens=False)
    assert door.account(b"Bearer sk-1", NOW) is not None
    assert door.account(b"Bearer sk-2", NOW) is None


def test_a_key_and_its_tokens_are_one_account() -> None:
    door = Doorkeeper(frozenset({KEY}), tokens=True)
    assert door.account(token(), NOW) == door.account(f"Bearer {KEY}".encode(), NOW)


def test_a_token_ends() -> None:
    door = Doorkeeper(frozenset(), tokens=True)
    assert door.account(token(), NOW) is not None
    assert door.account(token(), NOW + 3600) is None


def test_a_token_signed_with_another_secret_is_refused_where_keys_are_listed() -> None:
    forged = token("ident.another-secret")
    assert Doorkeeper(frozenset({KEY}), tokens=True).account(forged, NOW) is None
    assert Doorkeeper(frozenset(), tokens=True).account(forged, NOW) is not None
    stranger = token("stranger.secret")
    assert Doorkeeper(frozenset({KEY}), tokens=True).account(stranger, NOW) is None


@pytest.mark.parametrize("value", ["a.b.c", "..", "e30.e30.e30", "é.é.é"])
def test_what_is_no_token_is_refused(value: str) -> None:
    door = Doorkeeper(frozenset(), tokens=True)
    assert door.account(b"Bearer " + value.encode(), NOW) is None


def test_a_token_without_the_vendors_header_is_refused() -> None:
    payload = {"api_key": "ident", "exp": int(NOW + 60) * 1000, "timestamp": int(NOW) * 1000}
    plain = jwt.encode(payload, SECRET, "HS256").encode()
    assert Doorkeeper(frozenset(), tokens=True).account(b"Bearer " + plain, NOW) is None


def test_memory_of_keys_is_bounded() -> None:
    door = Doorkeeper(frozenset(), tokens=False)
    for number in range(3000):
        assert door.account(b"Bearer sk-%d" % number, NOW) is not None
    assert len(door._known) <= 1024
