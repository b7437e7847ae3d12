"""HTTP header fields as MCP reads them: case-folded names, repeated fields, encoded values."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from typing import Protocol, overload

_OWS = b" \t"
_MARKER = b"=?base64?"

# MCP 2026-07-28 §streamable-http, "Value Encoding". The markers are lower case; a plain value
# that looks like an encoded one is encoded too, so that decoding is never ambiguous.
_ENCODED = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")


class _Get(Protocol):
    """How a field is asked for."""

    @overload
    def __call__(self, name: bytes, default: None = None, /) -> bytes | None: ...

    @overload
    def __call__(self, name: bytes, default: bytes, /) -> bytes: ...


class Headers:
    """Header fields of one request, immutable.

    Names are given in lower case, values as they came. A field that came several times reads as
    one value joined by commas (RFC 9110 §5.3); `count` tells where that must not be tolerated.
    """

    __slots__ = ("_fields", "_pairs", "get")

    get: _Get
    """Return a field's value without the optional whitespace around it (RFC 9110 §5.5).

    Parsers differ in whether they strip it, so it is stripped here.
    """

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self._pairs = pairs
        self._fields = {name: value.strip(_OWS) for name, value in pairs}
        if len(self._fields) != len(pairs):
            self._fields = _joined(pairs)
        # The dict's own: a dozen fields are asked for in each request, most of them in vain.
        self.get = self._fields.get

    @property
    def repeated(self) -> bool:
        """Some field came more than once."""
        return len(self._fields) != len(self._pairs)

    def count(self, name: bytes) -> int:
        """How many times the field came."""
        if name not in self._fields:
            return 0
        if not self.repeated:
            return 1
        return sum(1 for other, _ in self._pairs if other == name)

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """Every field as it came, repeated ones repeated."""
        return self._pairs

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __repr__(self) -> str:
        # Names only: values may be credentials.
        return f"Headers({[name for name, _ in self._pairs]})"


def _joined(pairs: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in pairs:
        fields[name] = fields[name] + b", " + value if name in fields else value
    return {name: value.strip(_OWS) for name, value in fields.items()}


def encode_value(value: str) -> bytes:
    """Encode text for an `Mcp-Name` or `Mcp-Param-*` field.

    Visible ASCII with inner spaces and tabs stays as it is; everything else becomes
    `=?base64?<base64 of UTF-8>?=`.
    """
    if _PLAIN.fullmatch(value) and not _ENCODED.fullmatch(value):
        return value.encode("ascii")
    return b"=?base64?" + base64.b64encode(value.encode("utf-8")) + b"?="


def decode_value(value: bytes) -> str | None:
    """Decode what `encode_value` wrote; None for anything it could not have written.

    A non-canonical encoding is refused: two readers must not see two values in one field.
    """
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        return None
    if not value.startswith(_MARKER):
        return text
    encoded = _ENCODED.fullmatch(text)
    if encoded is None:
        return text
    payload = encoded[1].encode("ascii")
    try:
        raw = base64.b64decode(payload, validate=True)
        decoded = raw.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return decoded if base64.b64encode(raw) == payload else None
