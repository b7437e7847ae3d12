from __future__ import annotations

import random

import pytest

from mcp_gateway.protocol.headers import Headers, decode_value, encode_value

ENCODED = [
    # The table of MCP 2026-07-28, "Value Encoding".
    ("us-west1", b"us-west1"),
    ("Hello, 世界", b"=?base64?SGVsbG8sIOS4lueVjA==?="),
    (" padded ", b"=?base64?IHBhZGRlZCA=?="),
    ("line1\nline2", b"=?base64?bGluZTEKbGluZTI=?="),
    ("=?base64?literal?=", b"=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    # The edges of those rules.
    ("", b""),
    ("a", b"a"),
    ("a b\tc", b"a b\tc"),
    ("\ta", b"=?base64?CWE=?="),
    ("a\x7f", b"=?base64?YX8=?="),
    ("=?base64?=", b"=?base64?="),
    ("=?base64?no end", b"=?base64?no end"),
    ("=?BASE64?QQ==?=", b"=?BASE64?QQ==?="),
]


def test_an_absent_field_is_the_default() -> None:
    headers = Headers([(b"accept", b"*/*")])
    assert headers.get(b"host") is None
    assert headers.get(b"host", b"x") == b"x"
    assert b"host" not in headers
    assert headers.count(b"host") == 0


@pytest.mark.parametrize("value", [b"chat", b" chat", b"chat \t", b"\t chat \t "])
def test_optional_white_space_around_a_value_is_not_part_of_it(value: bytes) -> None:
    assert Headers([(b"mcp-name", value)]).get(b"mcp-name") == b"chat"


def test_white_space_inside_a_value_stays() -> None:
    assert Headers([(b"mcp-name", b" a \t b ")]).get(b"mcp-name") == b"a \t b"


def test_a_field_that_came_once_is_not_repeated() -> None:
    headers = Headers([(b"a", b"1"), (b"b", b"2")])
    assert not headers.repeated
    assert headers.count(b"a") == 1


def test_a_repeated_field_is_one_list_and_is_counted() -> None:
    headers = Headers([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    assert headers.repeated
    assert headers.get(b"a") == b"1, 3"
    assert headers.get(b"b") == b"2"
    assert headers.count(b"a") == 2
    assert headers.count(b"b") == 1
    assert b"a" in headers


def test_items_are_the_fields_as_they_came() -> None:
    pairs = [(b"a", b" 1"), (b"b", b"2"), (b"a", b"3 ")]
    assert list(Headers(pairs).items()) == pairs
    assert list(Headers().items()) == []


def test_a_representation_shows_no_value() -> None:
    shown = repr(Headers([(b"authorization", b"Bearer secret")]))
    assert "authorization" in shown
    assert "secret" not in shown


@pytest.mark.parametrize(("text", "value"), ENCODED)
def test_text_is_encoded_as_the_specification_says(text: str, value: bytes) -> None:
    assert encode_value(text) == value


@pytest.mark.parametrize(("text", "value"), ENCODED)
def test_a_value_is_decoded_to_its_text(text: str, value: bytes) -> None:
    assert decode_value(value) == text


def test_an_encoded_value_may_hold_what_needed_no_encoding() -> None:
    assert decode_value(b"=?base64?Y2hhdA==?=") == "chat"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"=?base64?Y2hhdA?=", id="padding missing"),
        pytest.param(b"=?base64?Y2hhdB==?=", id="bits after the end"),
        pytest.param(b"=?base64?Y2 hhdA==?=", id="white space inside"),
        pytest.param(b"=?base64?!!!!?=", id="not of the alphabet"),
        pytest.param(b"=?base64?/w==?=", id="not UTF-8"),
        pytest.param(b"=?base64?7aCA?=", id="a surrogate"),
        pytest.param(b"caf\xc3\xa9", id="UTF-8 without encoding"),
        pytest.param(b"caf\xe9", id="Latin-1 without encoding"),
    ],
)
def test_a_malformed_value_has_no_text(value: bytes) -> None:
    assert decode_value(value) is None


def test_whatever_text_is_encoded_comes_back_and_is_a_valid_field_value() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    draw = random.Random(seed)
    alphabet = "abc =?64\t\n\0\x7fé世😀"
    for _ in range(2000):
        text = "".join(draw.choices(alphabet, k=draw.randrange(12)))
        if draw.random() < 0.2:
            text = f"=?base64?{text}?="
        value = encode_value(text)
        assert decode_value(value) == text
        assert value == value.strip(b" \t")
        assert all(byte == 9 or 0x20 <= byte <= 0x7E for byte in value)
