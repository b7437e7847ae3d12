"""What the commands write, and where: results to stdout, what is said to people to stderr.

Colour is for terminals, and never where `NO_COLOR` is set or the terminal is `dumb`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

_STYLES = {"bold": "1", "red": "31", "green": "32", "cyan": "36"}

# Everything that moves a cursor or starts an escape sequence, but for tab and newline.
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in {9, 10}}


class Complaint(Exception):
    """A command cannot do what was asked; the message is for people.

    Attributes:
        hint: what to do about it; or empty.
        status: exit status.
    """

    def __init__(self, message: str, hint: str = "", *, status: int = 1) -> None:
        super().__init__(message)
        self.hint = hint
        self.status = status


def out(text: str) -> None:
    """Write a line of result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Tell a person something."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def complain(text: str, hint: str = "") -> None:
    """Tell a person what went wrong, and what to do about it."""
    say(f"{paint('error:', 'red', sys.stderr)} {text}")
    if hint:
        say(f"{paint('hint:', 'cyan', sys.stderr)}  {hint}")


def paint(text: str, style: str, stream: TextIO) -> str:
    """Return `text` in a style, where `stream` shows styles."""
    if os.environ.get("NO_COLOR") or not stream.isatty() or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def printable(text: str) -> str:
    """Return text of an outside origin on one line, unable to drive a terminal."""
    return text.translate(_CONTROLS).replace("\n", " ")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay rows out in columns, three spaces apart as kubectl does; `-` where there is nothing."""
    cells = [[printable(cell) or "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    lines = [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [list(headings), *cells]
    ]
    return "\n".join([paint(lines[0], "bold", sys.stdout), *lines[1:]])
