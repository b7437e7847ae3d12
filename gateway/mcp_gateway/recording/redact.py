"""Takes what must not be kept out of content, before it is written anywhere.

Rules are compiled once. Expressions are RE2: they look at what strangers send, so their time
must be linear, and they let go of the interpreter lock while they look. They work on the texts
inside the JSON and never on the JSON itself, so no spelling of a character hides it and no
replacement breaks the document. Where a rule cannot be applied, nothing of the content is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import re2

from mcp_gateway.errors import ConfigError
from mcp_gateway.recording import foreign_json

UNREADABLE: Final = "[redacted: nested too deep to look into]"
PLACELESS: Final = "[redacted: no JSON, so the paths of the rules lead nowhere]"

PATTERNS: Final[Mapping[str, Sequence[str]]] = {
    "keys": (
        r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}",  # OpenAI, Moonshot, Anthropic, Stripe
        r"\bmgw_[A-Za-z0-9_-]{40,}",  # this gateway's client keys
        r"\b[0-9a-f]{32}\.[A-Za-z0-9]{16}\b",  # Zhipu
        r"\bsb_(?:secret|publishable)_[A-Za-z0-9_-]{16,}",
        r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        r"\bAIza[0-9A-Za-z_-]{35}",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,})",
        r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
        r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",  # JSON Web Tokens
        r"(?i)\bbearer\s+[A-Za-z0-9._~+/-]{16,}=*",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?",
    ),
    "emails": (r"[\pL\pN._%+-]+@[\pL\pN-]+(?:\.[\pL\pN-]+)+",),
    "phones": (
        r"\+[0-9]{1,3}(?:[ .-]?\(?[0-9]{2,4}\)?){2,5}",
        r"\(?\b[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}\b",
        r"\b1[3-9][0-9]{9}\b",  # mobile numbers in mainland China
    ),
}
"""Ready-made expressions by name. They find the usual forms, not every form."""

Step = str | int | None
"""One step of a path: a name, an index, or None for all of them."""


class Redactor:
    """Applies rules to JSON and to texts.

    Args:
        paths: places and what to put there.
        expressions: RE2 expressions and what to put in place of what they match.

    Raises:
        ConfigError: an expression or a path is not one.
    """

    def __init__(
        self, *, paths: Sequence[tuple[str, str]] = (), expressions: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._paths = [(parse_path(path), text) for path, text in paths]
        self._expressions = [(_compile(text), _literal(by)) for text, by in expressions]
        # One look at a text that none matches, which is nearly every text.
        self._any = _compile("|".join(f"(?:{text})" for text, _ in expressions) or r"\z.")

    def body(self, body: bytes) -> bytes:
        """JSON without what the rules take out."""
        try:
            value = foreign_json.read(body)
            for steps, text in self._paths:
                value = _replace_at(value, steps, text)
            return foreign_json.write(self._walk(value))
        except RecursionError:
            return foreign_json.write(UNREADABLE)
        except ValueError:
            return foreign_json.write(self.loose(body))

    def loose(self, body: bytes) -> str:
        """What is no JSON, as one text; nothing of it where a rule names a place in JSON."""
        return PLACELESS if self._paths else self.text(body.decode("utf-8", "replace"))

    def text(self, text: str) -> str:
        """A text without what the expressions match."""
        try:
            if not self._any.search(text):
                return text
        except UnicodeEncodeError:  # RE2 works on UTF-8
            return self.text(foreign_json.whole(text))
        for expression, replacement in self._expressions:
            text = expression.sub(replacement, text)
        return text

    def _walk(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self._walk(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self._walk(part) for part in value]
        return value


_PATH = re.compile(r"[A-Za-z_*][\w-]*(\[(\*|\d{1,9})\]|\.[A-Za-z_*][\w-]*)*", re.ASCII)
_STEP = re.compile(r"([A-Za-z_*][\w-]*)|\[(\*|\d+)\]", re.ASCII)


def parse_path(path: str) -> tuple[Step, ...]:
    """Read `messages[*].content` as its steps.

    Raises:
        ConfigError: it is not of that form.
    """
    if _PATH.fullmatch(path) is None:
        raise ConfigError(f"recording.redact: {path!r} is not a path like messages[*].content")
    steps: list[Step] = []
    for name, index in _STEP.findall(path):
        word = name or index
        steps.append(None if word == "*" else name or int(index))
    return tuple(steps)


def expressions(name: str, replacement: str) -> list[tuple[str, str]]:
    """Ready-made expressions of a name in `PATTERNS`, for `Redactor`."""
    return [(text, replacement) for text in PATTERNS[name]]


def _compile(text: str) -> Any:
    try:
        return re2.compile(text)
    except re2.error as error:
        raise ConfigError(f"recording.redact: {text!r} is not an RE2 expression: {error}") from None


def _literal(replacement: str) -> str:
    return replacement.replace("\\", r"\\")


def _replace_at(value: Any, steps: tuple[Step, ...], text: str) -> Any:
    """Put a text wherever a path leads; where it leads nowhere, nothing happens."""
    if not steps:
        return text
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        for name in list(value) if step is None else [step] if step in value else []:
            value[name] = _replace_at(value[name], rest, text)
    elif isinstance(value, list) and not isinstance(step, str):
        places = range(len(value)) if step is None else [step] if step < len(value) else []
        for place in places:
            value[place] = _replace_at(value[place], rest, text)
    return value
