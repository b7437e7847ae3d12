"""What is wrong with a document, in words a person can act on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mcp_gateway.errors import ConfigError

Path = tuple[str | int, ...]
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a document, or worth a second look.

    Attributes:
        path: where, in the document's own spelling: `spec.providers[0].pool.minConnections`.
        message: what is wrong. Never shows a secret.
        expected: what would be right; empty where the message says it.
        line: line of the file, from 1; None where the path is not in the file.
        severity: an `error` keeps the document from being used, a `warning` does not.
    """

    path: str
    message: str
    expected: str = ""
    line: int | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        place = f"{self.path}: " if self.path else ""
        pause = "" if self.message.endswith("?") else ";"
        wanted = f"{pause} expected {self.expected}" if self.expected else ""
        return f"{where}{place}{self.message}{wanted}"


class InvalidDocument(ConfigError):
    """A document cannot be used. `problems` has everything that is wrong with it."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{source}: {count}{lines}")
        self.source = source
        self.problems = list(problems)


def spell(path: Sequence[str | int]) -> str:
    """Write a path as a person would: `spec.prices["kimi-k2.5"].input`, `spec.routes[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text
