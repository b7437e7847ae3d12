"""What the commands write, and where: results to stdout, everything said to people to stderr.

So a pipe gets results only, whatever else there is to say. Colour is for terminals, and never
where `NO_COLOR` is set (no-color.org) or the terminal is `dumb`.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_LEAST_COLUMN = 16

# Everything that moves a cursor or starts an escape sequence, but for tab and newline.
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in {9, 10}}

# Those of them that JSON leaves as they are.
_ESCAPED = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def out(text: str) -> None:
    """Write a line of result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def out_json(value: object) -> None:
    """Write a result for a program: one line of JSON, which drives no terminal either."""
    out(json.dumps(value, ensure_ascii=False, default=str).translate(_ESCAPED))


def say(text: str = "") -> None:
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
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if coloured(stream) else text


def coloured(stream: TextIO) -> bool:
    """Whether to use colour on `stream`."""
    if os.environ.get("NO_COLOR"):
        return False
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def printable(text: str, stream: TextIO) -> str:
    """Return text of an outside origin so that it cannot drive the terminal `stream` may be."""
    return text.translate(_CONTROLS) if stream.isatty() else text


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], stream: TextIO) -> str:
    """Lay rows out in columns; on a terminal the last column is wrapped to its width.

    Off a terminal nothing is wrapped, so that `grep` finds what it looks for on one line.
    """
    cells = [[str(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    room = None
    if stream.isatty():
        room = shutil.get_terminal_size().columns - sum(widths[:-1]) - 2 * (len(widths) - 1)
    lines = [paint(line, "bold", stream) for line in _row(headings, widths, None)]
    for row in cells:
        lines += _row(row, widths, room)
    return "\n".join(lines)


def _row(cells: Sequence[str], widths: Sequence[int], room: int | None) -> list[str]:
    last = [cells[-1]]
    if room is not None and len(cells[-1]) > room >= _LEAST_COLUMN:
        last = textwrap.wrap(cells[-1], room)
    start = "  ".join(cell.ljust(width) for cell, width in zip(cells[:-1], widths, strict=False))
    indent = " " * len(start)
    return [
        f"{start if not number else indent}  {text}".rstrip() for number, text in enumerate(last)
    ]


def fields(pairs: Mapping[str, Any]) -> str:
    """Lay out names and values, two spaces in, values in one column."""
    width = max(map(len, pairs), default=0)
    return "\n".join(f"  {name.ljust(width)}  {value}" for name, value in pairs.items())
