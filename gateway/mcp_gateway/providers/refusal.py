"""Reading an error answer: its object, its clocks, and nothing secret.

What all providers share. Each provider's own table of codes is in its module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import msgspec

from mcp_gateway.providers.base import RefusalKind

MESSAGE_LIMIT = 500

# Kimi writes the account and the key's id into its messages; keys are masked whatever they are.
# Spaces are looked at from the first of a run only, and an id has an end: a provider may repeat
# what a client sent, and the time must not grow with the square of that.
_IDENTITIES = re.compile(
    r"(?:(?<!\s)\s+|\b)(?:org|proj)-\w+(?:\s*/\s*proj-\w+)?"
    r"|(?:(?<!\s)\s+)?<(?:ak|org|proj)-[^>]{0,256}>",
    re.ASCII,
)
_KEYS = re.compile(r"\bsk-[\w-]{4,}", re.ASCII)
_AGAIN = re.compile(
    r"(?:try again|retry)(?: after| in)? (\d{1,9}(?:\.\d{1,9})?) ?(ms|milli|s|m|h)?", re.I
)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

# First match wins: a daily token limit is a quota, one by the minute is a rate.
_KINDS_OF_429 = (
    (("concurren",), RefusalKind.CONCURRENCY),
    (("overloaded", "receiving too many requests"), RefusalKind.OVERLOAD),
    (
        ("tpd", "tokens per day", "rpd", "requests per day", "quota", "balance", "usage limit"),
        RefusalKind.QUOTA,
    ),
    (("tpm", "tokens per min", "token rate"), RefusalKind.TOKENS),
)

# OpenAI has one header for each window, the others one for both.
_RESET_HEADERS = {
    RefusalKind.FREQUENCY: (b"x-ratelimit-reset-requests", b"x-ratelimit-reset"),
    RefusalKind.TOKENS: (b"x-ratelimit-reset-tokens", b"x-ratelimit-reset"),
    RefusalKind.QUOTA: (b"x-ratelimit-reset",),
}

_STATUS_OF_KIND = {
    RefusalKind.CONCURRENCY: 429,
    RefusalKind.FREQUENCY: 429,
    RefusalKind.TOKENS: 429,
    RefusalKind.QUOTA: 429,
    RefusalKind.OVERLOAD: 503,
    RefusalKind.CREDENTIAL: 401,
    RefusalKind.PERMISSION: 403,
    RefusalKind.MODEL: 404,
    RefusalKind.REQUEST: 400,
    RefusalKind.SERVER: 500,
}


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error as it came, before anybody said what it means.

    Attributes:
        status: HTTP status; 200 for an error object inside a stream or a success.
        type: the error object's `type`.
        code: the error object's `code`, as text.
        message: its message in full.
        headers: response headers, lower-case.
        now: wall-clock seconds when it came.
    """

    status: int
    type: str
    code: str
    message: str
    headers: Mapping[bytes, bytes]
    now: float


def read(status: int, headers: Mapping[bytes, bytes], body: bytes, now: float) -> ErrorAnswer:
    """Understand the form of an error answer, whatever it is; never raises."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = "the answer was not JSON" if body else "the answer was empty"
        return ErrorAnswer(status, "", "", text, headers, now)
    error = document.get("error", document) if isinstance(document, dict) else document
    if not isinstance(error, dict):
        return ErrorAnswer(status, "", "", str(error), headers, now)
    message = error.get("message") or error.get("msg") or error.get("detail") or ""
    return ErrorAnswer(
        status,
        type=_word(error.get("type")),
        code=_word(error.get("code")),
        message=str(message),
        headers=headers,
        now=now,
    )


def by_status(status: int) -> RefusalKind:
    """What an HTTP status means where nothing else says more."""
    kinds = {
        401: RefusalKind.CREDENTIAL,
        402: RefusalKind.QUOTA,
        403: RefusalKind.PERMISSION,
        404: RefusalKind.MODEL,
        429: RefusalKind.FREQUENCY,
        503: RefusalKind.OVERLOAD,
        529: RefusalKind.OVERLOAD,
    }
    if status in kinds:
        return kinds[status]
    return RefusalKind.REQUEST if 400 <= status < 500 else RefusalKind.SERVER


def kind_of_429(answer: ErrorAnswer) -> RefusalKind:
    """What a 429 is about, by the words of its message; frequency where they do not say.

    The words are those that Kimi, OpenAI and servers built after them use.
    """
    # Without the ids: a key's random letters may spell "tpm".
    message = _IDENTITIES.sub("", answer.message).lower()
    for words, kind in _KINDS_OF_429:
        if any(word in message for word in words):
            return kind
    if answer.headers.get(b"x-ratelimit-remaining-tokens") == b"0":
        return RefusalKind.TOKENS
    return RefusalKind.FREQUENCY


def status_of(answer: ErrorAnswer, kind: RefusalKind) -> int:
    """The answer's status, or the one it should have had when it came under a success."""
    return answer.status if answer.status >= 400 else _STATUS_OF_KIND[kind]


def retry_after(answer: ErrorAnswer, kind: RefusalKind) -> float | None:
    """Seconds the provider asks to wait: `Retry-After`, the message, or `X-RateLimit-Reset`.

    RFC 9110 §10.2.3 allows a number or a date. The rate-limit header has no standard: it is
    read as an instant when it is as large as one, else as a duration. It comes with every
    answer and speaks of a window, so it counts only where a window is used up.
    """
    header = answer.headers.get(b"retry-after")
    if header is not None:
        value = _number_or_date(header, answer.now)
        if value is not None:
            return value
    said = _AGAIN.search(answer.message)
    if said is not None:
        return float(said[1]) * _UNITS[(said[2] or "s").lower()]
    return _reset_header(answer, kind)


def scrub(message: str, secrets: tuple[str, ...]) -> str:
    """The message without keys and account ids, bounded to `MESSAGE_LIMIT` characters."""
    for secret in secrets:
        if secret:
            message = message.replace(secret, "***")
    message = _KEYS.sub("sk-***", _IDENTITIES.sub("", message))
    return message.strip()[:MESSAGE_LIMIT]


def _reset_header(answer: ErrorAnswer, kind: RefusalKind) -> float | None:
    for name in _RESET_HEADERS.get(kind, ()):
        raw = answer.headers.get(name)
        value = _reset(raw, answer.now) if raw is not None else None
        if value is not None:
            return value
    return None


def _reset(raw: bytes, now: float) -> float | None:
    text = raw.decode("latin-1").strip()
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    value = _number(text)
    if value is None:
        return None
    if value > 1e11:
        value /= 1000.0
    return max(0.0, value - now) if value > 1e8 else value


def _number_or_date(raw: bytes, now: float) -> float | None:
    text = raw.decode("latin-1").strip()
    value = _number(text)
    if value is not None:
        return value
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> float | None:
    # float() also reads "nan", "inf" and "1_0": none of them is a number of seconds.
    return float(text) if re.fullmatch(r"\d{1,15}(\.\d{1,9})?", text, re.ASCII) else None


def _word(value: object) -> str:
    return "" if value is None else str(value)[:64]
