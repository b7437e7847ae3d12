"""The two media types of Streamable HTTP, as `Content-Type` and `Accept` name them."""

from __future__ import annotations

from functools import lru_cache

_JSON = b"application/json"
_SSE = b"text/event-stream"
_LONGEST_REMEMBERED = 256


def is_json(content_type: bytes) -> bool:
    """Whether a `Content-Type` is `application/json`, with or without parameters."""
    return content_type == _JSON or content_type.split(b";", 1)[0].strip().lower() == _JSON


def accepts(accept: bytes) -> tuple[bool, bool]:
    """Return whether an `Accept` value takes JSON, and whether it takes an event stream.

    Media ranges match as in RFC 9110 §12.5.1: the most specific one decides, and `q=0` refuses.
    """
    # A client repeats its own value with every request, so reading it again is waste; long ones
    # are not remembered, so that the memory is bounded in bytes too.
    return _remembered(accept) if len(accept) <= _LONGEST_REMEMBERED else _read(accept)


def _read(accept: bytes) -> tuple[bool, bool]:
    ranges: dict[bytes, bool] = {}
    for item in accept.lower().split(b","):
        name, *parameters = (part.strip() for part in item.split(b";"))
        ranges[name] = not any(map(_refuses, parameters))
    return _taken(ranges, _JSON), _taken(ranges, _SSE)


_remembered = lru_cache(maxsize=128)(_read)


def _refuses(parameter: bytes) -> bool:
    name, _, weight = parameter.partition(b"=")
    return name.strip() == b"q" and not weight.strip().strip(b"0.")


def _taken(ranges: dict[bytes, bool], media_type: bytes) -> bool:
    family = media_type.split(b"/")[0] + b"/*"
    for name in (media_type, family, b"*/*"):
        if name in ranges:
            return ranges[name]
    return False
