"""JSON of strangers, read with more patience than the request path has.

What others read and strict JSON refuses is read as well: half surrogate pairs, which end many
streamed pieces, numbers that no float holds, control characters, bytes that are not UTF-8. Were
it left as one text, the rules of redaction would not find their places in it.
"""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_LONGEST_INTEGER = 400
"""Digits from which on an integer stays text: converting it costs the square of its length."""


def read(body: bytes) -> Any:
    """JSON as values.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deep.
    """
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode("utf-8-sig", "replace")
    return json.loads(
        text, strict=False, parse_float=_float, parse_int=_integer, parse_constant=str
    )


def write(value: Any) -> bytes:
    """Values as JSON in UTF-8: pairs of surrogates are one character, halves are U+FFFD.

    Raises:
        RecursionError: they are nested too deep.
    """
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return _encode(_mended(value))


def whole(text: str) -> str:
    """A text that UTF-8 can say."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, dict):
        return {whole(name): _mended(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_mended(part) for part in value]
    return value


def _float(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= _LONGEST_INTEGER else text
