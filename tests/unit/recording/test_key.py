from __future__ import annotations

import jwt
import pytest

from mcp_gateway.recording.key import can_read, writer_key

SECRET = "a secret of the tests, at least thirty-two characters"


def test_key_is_a_token_of_the_writers_role() -> None:
    key = writer_key(SECRET, issued=2_000_000_000.7, lifetime=60.0)
    claims = jwt.decode(key, SECRET, ["HS256"], options={"verify_iat": False})
    assert claims == {
        "role": "mcp_gateway_writer",
        "iss": "mcp-gateway",
        "iat": 2_000_000_000,
        "exp": 2_000_000_060,
    }


def test_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        writer_key("short", issued=0.0, lifetime=1.0)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (jwt.encode({"role": "service_role"}, SECRET), True),
        ("sb_secret_abc", True),
        (jwt.encode({"role": "anon"}, SECRET), False),
        (jwt.encode({}, SECRET), False),
        ("sb_publishable_abc", False),
        ("", False),
        ("a.b.c", False),
        ("a.!!!!.c", False),
        ("a.bm90IGpzb24.c", False),
        ("a.WzFd.c", False),
    ],
)
def test_key_that_can_read_everything_is_recognized(key: str, expected: bool) -> None:
    assert can_read(key) is expected
