from __future__ import annotations

import json

import pytest
from postgrest import APIError

from mcp_gateway.recording.destination import Unavailable
from mcp_gateway.recording.key import writer_key
from mcp_gateway.recording.supabase import (
    LONGEST_MESSAGE,
    SupabaseDestination,
    SupabaseSettings,
    without_nul,
)


@pytest.mark.parametrize(
    "text", ["plain", "\0", "a\0\0b", "\\u0000", "\\\0", "\\\\u0000", '"\0"', "\\\\\0\\"]
)
def test_nul_is_replaced_and_nothing_else(text: str) -> None:
    before = json.dumps([{"a": text}])
    assert json.loads(without_nul(before)) == [{"a": text.replace("\0", "\ufffd")}]


def test_little_is_kept_of_what_something_else_than_a_database_says() -> None:
    key = writer_key("x" * 32, issued=0.0, lifetime=1.0)
    destination = SupabaseDestination(SupabaseSettings(url="http://127.0.0.1:9", key=key))
    destination._answer.status, destination._answer.retry_after = 403, None
    said = {"message": "no " * 100_000, "code": 403, "hint": None, "details": None}
    try:
        found = destination._undelivered(APIError(said))
    finally:
        destination.close()
    assert isinstance(found, Unavailable)
    assert (found.code, found.answered) == ("403", True)
    assert len(str(found)) < LONGEST_MESSAGE + 50
