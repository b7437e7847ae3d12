"""W3C Trace Context (level 2): which trace a request belongs to, as headers say it.

A trace is named by 32 hexadecimal digits and each of its spans by 16. Whether it is sampled is
decided once, at its root, and carried along.
"""

from __future__ import annotations

import re

from msgspec import Struct

MAX_TRACESTATE = 512
"""Characters of a `tracestate` that is passed on (§3.3.1.5)."""

SAMPLED = 0x01
"""The flag of §3.2.2.5.1."""

_LENGTH = 55
_DIGITS = 16
_EVERY = 1 << 64

# §3.2: version ff and ids of zeros alone are invalid.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)


class TraceContext(Struct, frozen=True):
    """Where a request comes from.

    Attributes:
        trace_id: the trace.
        span_id: the caller's span.
        sampled: the caller records its spans.
    """

    trace_id: str
    span_id: str
    sampled: bool


def is_traceparent(value: str) -> bool:
    """`value` is a `traceparent` of version 00, or the part of a later one that 00 defines."""
    return _TRACEPARENT.fullmatch(value) is not None


def traceparent_of(header: bytes) -> str:
    """The `traceparent` of a header's value; empty where it is malformed.

    Of a later version, the part that version 00 defines is read (§3.2.4).
    """
    value = header[:_LENGTH].decode("latin-1")
    if not is_traceparent(value):
        return ""
    rest = header[_LENGTH:]
    if rest and (value.startswith("00") or not rest.startswith(b"-")):
        return ""
    return value


def tracestate_of(value: str) -> str:
    """A `tracestate` that can be passed on; empty where this one cannot.

    Only printable ASCII may stand in a header: a value out of a message could hold line breaks.
    """
    fits = len(value) <= MAX_TRACESTATE and value.isascii() and value.isprintable()
    return value if fits else ""


def parse(value: str) -> TraceContext | None:
    """Read a `traceparent`; None where it is empty or malformed."""
    if not is_traceparent(value):
        return None
    _, trace_id, span_id, flags = value.split("-")
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & SAMPLED))


def traceparent(trace_id: str, span_id: str, *, sampled: bool) -> str:
    """Write a `traceparent`."""
    return f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}"


def header_lines(parent: str, state: str) -> bytes:
    """The header lines that carry a context on; `state` may be empty."""
    if state:
        return f"traceparent: {parent}\r\ntracestate: {state}\r\n".encode("ascii")
    return f"traceparent: {parent}\r\n".encode("ascii")


def threshold(ratio: float) -> int:
    """What `chosen` compares with, for the part `ratio` of all traces."""
    return round(ratio * _EVERY)


def chosen(trace_id: str, limit: int) -> bool:
    """Whether a trace that begins here is sampled.

    The decision is that of OpenTelemetry's `TraceIdRatioBased`: by the last 64 bits of the id,
    so that everybody who is asked about a trace with the same ratio says the same.
    """
    return int(trace_id[-_DIGITS:], 16) < limit
