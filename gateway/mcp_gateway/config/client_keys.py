"""The clients' keys: made here, kept hashed, one line each.

```text
# name   digest of the key                    what it may
alice    sha256:<64 hexadecimal digits>
batch    sha256:<64 hexadecimal digits>   models=kimi-.*  rate=60/1m  burst=10
```

A key has 256 random bits, so a plain digest cannot be guessed back; nobody but its holder
has the key itself. One name may have two lines while a key is being changed for another.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from mcp_gateway.api.fields import check_re2, parse_duration
from mcp_gateway.errors import ConfigError

PREFIX: Final = "mgw_"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:([0-9a-fA-F]{64})", re.ASCII)
_RATE: Final = re.compile(r"([1-9][0-9]{0,8})/([0-9a-z.]{1,32})", re.ASCII)
_BURST: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClientKey:
    """One client's key, as it is kept.

    Attributes:
        name: the client's name in logs, records and rate limits.
        digest: SHA-256 of the key, 32 bytes.
        models: RE2 expression of the models it may call; None means all.
        requests_per_second: its own rate; None leaves it to the document's.
        burst: requests it may make at once after a pause; None leaves it to the rate.
    """

    name: str
    digest: bytes
    models: str | None = None
    requests_per_second: float | None = None
    burst: int | None = None


def create(name: str, models: str | None = None, rate: str | None = None) -> tuple[str, str]:
    """Make a new key.

    Args:
        name: the client's name: letters, digits and `._@-`, at most 63.
        models: RE2 expression of the models it may call.
        rate: its own rate, such as `60/1m`.

    Returns:
        The key, to be given to the client and shown once, and the line to keep.

    Raises:
        ConfigError: one of the arguments has no meaning.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError("a client's name is letters, digits and '._@-', at most 63")
    key = PREFIX + secrets.token_urlsafe(32)
    line = f"{name} sha256:{sha256(key.encode()).hexdigest()}"
    for option, value in (("models", models), ("rate", rate)):
        if value is not None:
            if not value or len(value.split()) != 1 or value != value.strip():
                raise ConfigError(f"{option} must be given without white space")
            line += f" {option}={value}"
    parse(line)
    return key, line


def parse(text: str) -> list[ClientKey]:
    """Read a file of lines.

    Raises:
        ConfigError: with every line that has no meaning, by number, without its text.
    """
    keys: list[ClientKey] = []
    problems: list[str] = []
    lines_by_digest: dict[bytes, int] = {}
    for number, line in _lines(text):
        try:
            key = _parse_line(line)
        except ValueError as exc:
            problems.append(f"line {number}: {exc}")
            continue
        if key.digest in lines_by_digest:
            problems.append(f"line {number}: the key of line {lines_by_digest[key.digest]} again")
            continue
        lines_by_digest[key.digest] = number
        keys.append(key)
    if problems:
        raise ConfigError("client keys: " + "; ".join(problems))
    return keys


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        # A comment begins a line or follows a space, so that an expression may hold a `#`.
        words = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].split()
        if words:
            yield number, words


def _parse_line(words: list[str]) -> ClientKey:
    name, *rest = words
    if not _NAME.fullmatch(name):
        raise ValueError("expected a client's name first: letters, digits, '._@-', at most 63")
    digest = _DIGEST.fullmatch(rest[0]) if rest else None
    if digest is None:
        raise ValueError("expected sha256: and 64 hexadecimal digits after the name")
    options = _options(rest[1:])
    models, rate, burst = (options.get(name) for name in ("models", "rate", "burst"))
    if models is not None:
        check_re2(models)
    if burst is not None and not _BURST.fullmatch(burst):
        raise ValueError("expected burst as a whole number of at least 1")
    return ClientKey(
        name=name,
        digest=bytes.fromhex(digest[1]),
        models=models,
        requests_per_second=_per_second(rate) if rate is not None else None,
        burst=int(burst) if burst is not None else None,
    )


def _options(words: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for word in words:
        option, equals, value = word.partition("=")
        if not equals or option not in ("models", "rate", "burst"):
            raise ValueError("expected models=, rate= or burst= after the digest")
        if option in options:
            raise ValueError(f"{option}= is given twice")
        options[option] = value
    return options


def _per_second(rate: str) -> float:
    found = _RATE.fullmatch(rate)
    seconds = parse_duration(found[2]) if found else 0.0
    if found is None or seconds <= 0:
        raise ValueError("expected rate as requests by duration, such as 60/1m")
    return int(found[1]) / seconds
