from __future__ import annotations

import json

import pytest

from mcp_gateway.recording.supabase import without_nul


@pytest.mark.parametrize(
    "text", ["plain", "\0", "a\0\0b", "\\u0000", "\\\0", "\\\\u0000", '"\0"', "\\\\\0\\"]
)
def test_nul_is_replaced_and_nothing_else(text: str) -> None:
    before = json.dumps([{"a": text}])
    assert json.loads(without_nul(before)) == [{"a": text.replace("\0", "\ufffd")}]
