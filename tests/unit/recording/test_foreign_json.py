from __future__ import annotations

import json
from typing import Any

import pytest

from mcp_gateway.recording.foreign_json import read, whole, write


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}),
        (b"\xef\xbb\xbf[1]", [1]),
        (b"[1e999, -1e999, NaN]", ["1e999", "-1e999", "NaN"]),
        (b"9" * 5000, "9" * 5000),
        (b'"a\x01\xff"', "a\x01\ufffd"),
        (rb'"\ud83d"', "\ud83d"),
    ],
)
def test_what_others_read_is_read(body: bytes, value: Any) -> None:
    assert read(body) == value


@pytest.mark.parametrize("body", [b"", b"{", b"[1] x", b"word"])
def test_what_is_no_json_is_said(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(body)


def test_too_deep_is_said() -> None:
    with pytest.raises(RecursionError):
        read(b"[" * 50_000 + b"]" * 50_000)


def test_what_is_written_is_utf_8() -> None:
    value = {"\ud800": ["\ud83d\ude00", "\udc00", 1]}
    assert json.loads(write(value).decode()) == {"\ufffd": ["\U0001f600", "\ufffd", 1]}


def test_whole_text_is_left_alone() -> None:
    assert whole("a \U0001f600 \u00fc") == "a \U0001f600 \u00fc"
