"""The two media types of Streamable HTTP, as `Content-Type` and `Accept` name them."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

_JSON = b"application/json"
_SSE = b"text/event-stream"
_LONGEST_REMEMBERED = 256


class Terms(NamedTuple):
    """What the headers of a POST agree to.

    Attributes:
        problem: why the request cannot be served; empty if it can.
        status: the HTTP status that says so.
        wants_sse: the client also takes an event stream.
    """

    problem: str = ""
    status: int = 0
    wants_sse: bool = False


def terms(content_type: bytes, accept: bytes) -> Terms:
    """Read `Content-Type` and `Accept`, which is `*/*` where the client sent none.

    A body that is not `application/json` is a 400, as in the reference implementation. An
    `Accept` without an event stream is served, with an answer in JSON.
    """
    # A client repeats its own values with every request, so reading them again is waste. Long
    # ones are not remembered: that bounds the memory in bytes too.
    if len(content_type) + len(accept) <= _LONGEST_REMEMBERED:
        return _remembered(content_type, accept)
    return _read(content_type, accept)


def _read(content_type: bytes, accept: bytes) -> Terms:
    if content_type.split(b";", 1)[0].strip().lower() != _JSON:
        return Terms("the header Content-Type must be application/json", 400)
    ranges = _ranges(accept)
    if not _taken(ranges, _JSON):
        return Terms("the header Accept leaves out application/json", 406)
    return Terms(wants_sse=_taken(ranges, _SSE))


_remembered = lru_cache(maxsize=128)(_read)


def _ranges(accept: bytes) -> dict[bytes, bool]:
    ranges: dict[bytes, bool] = {}
    for item in accept.lower().split(b","):
        name, *parameters = (part.strip() for part in item.split(b";"))
        ranges[name] = not any(map(_refuses, parameters))
    return ranges


def _refuses(parameter: bytes) -> bool:
    name, _, weight = parameter.partition(b"=")
    weight = weight.strip()
    return name.strip() == b"q" and weight[:1] == b"0" and not weight.strip(b"0.")


def _taken(ranges: dict[bytes, bool], media_type: bytes) -> bool:
    """Whether a media type is accepted; the most specific range decides (RFC 9110 §12.5.1)."""
    family = media_type.split(b"/")[0] + b"/*"
    for name in (media_type, family, b"*/*"):
        if name in ranges:
            return ranges[name]
    return False
