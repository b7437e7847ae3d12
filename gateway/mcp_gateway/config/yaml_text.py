"""YAML text into plain data, each part with its line. Safe on any input, and without surprises.

YAML 1.1 reads `on`, `Off` and `yes` as booleans, `1:30` as a number and lets a key appear
twice. This reader takes JSON's types only: what is not a number, true, false or null is text.
Since kubectl reads YAML 1.1, a bare word that it would take for a boolean gets a warning.
Anchors may be used; the expanded document is bounded, so a bomb of them ends early.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from mcp_gateway.config.problem import Path, Problem, spell

MAX_BYTES: Final = 2**20
MAX_NODES: Final = 50_000
MAX_DEPTH: Final = 64

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_BOOLEAN_TO_OTHERS: Final = frozenset(
    word
    for name in ("y", "n", "yes", "no", "on", "off")
    for word in (name, name.capitalize(), name.upper())
)
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_NOT_A_NUMBER: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LEADING_ZERO: Final = re.compile(r"[-+]?0[0-9]")


class Unreadable(Exception):
    """The text cannot be read at all. Carries the one problem."""

    def __init__(self, message: str, *, line: int | None = None, expected: str = "") -> None:
        super().__init__(message)
        self.problem = Problem("", message, expected, line)


@dataclass(slots=True)
class Tree:
    """A text's data and where each part of it stands.

    Attributes:
        data: dicts with text keys, lists, text, numbers, booleans and None.
        lines: line of each part, from 1, by its path.
        problems: what was wrong without keeping the rest from being read.
        words: bare words that other readers take for booleans, by path.
    """

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    words: dict[Path, str] = field(default_factory=dict)


def read_yaml(text: str | bytes) -> Tree:
    """Read one YAML (or JSON) document.

    Raises:
        Unreadable: it is too large, not UTF-8, not YAML, empty, or more than one document.
    """
    decoded = _decode(text)
    try:
        _survey(decoded)
        node = yaml.compose(decoded, Loader=_LOADER)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        message = f"not YAML: {exc.problem or exc.context}"
        raise Unreadable(message, line=mark.line + 1 if mark else None) from None
    except yaml.YAMLError:
        raise Unreadable("not YAML: a character that text may not hold") from None
    assert node is not None, "the survey found a document"
    reader = _Reader()
    reader.tree.data = reader.value(node, (), 0)
    return reader.tree


def _decode(text: str | bytes) -> str:
    size = len(text)
    if size > MAX_BYTES:
        raise Unreadable(f"too large: {size:,} bytes", expected=f"at most {MAX_BYTES:,}")
    if isinstance(text, str):
        return text.removeprefix("\ufeff")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = text.count(b"\n", 0, exc.start) + 1
        raise Unreadable("not UTF-8", line=line, expected="text in UTF-8") from None


def _survey(text: str) -> None:
    """Look at the events, which takes no recursion, before anything is built of them."""
    depth = documents = 0
    event: Any  # the classes have no common attributes that a checker knows
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise Unreadable("more than one document", line=line, expected="one per file")
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise Unreadable("nested too deep", line=line, expected=f"at most {MAX_DEPTH}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if getattr(event, "tag", None) is not None:
            raise Unreadable(f"the tag {event.tag}", line=line, expected="plain YAML without tags")
    if not documents:
        raise Unreadable("empty", expected="an MCPGateway document, or an mcp.yaml")


class _Reader:
    """One pass over the composed nodes."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._nodes = 0

    def value(self, node: Any, path: Path, depth: int) -> Any:
        line = node.start_mark.line + 1
        self.tree.lines.setdefault(path, line)
        self._nodes += 1
        # Counted as expanded: an alias costs what it stands for.
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise Unreadable("too many parts, anchors expanded", line=line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(n, (*path, i), depth + 1) for i, n in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode), "aliases are resolved when a node is composed"
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in self._entries(node, path):
            inner = (*path, key.value)
            line = key.start_mark.line + 1
            if key.value in data:
                first = self.tree.lines[inner]
                self.tree.problems.append(
                    Problem(spell(inner), f"given twice, first in line {first}", line=line)
                )
                continue
            self.tree.lines[inner] = line
            if not key.style and key.value in _BOOLEAN_TO_OTHERS:
                self.tree.words[inner] = key.value
            data[key.value] = self.value(value, inner, depth + 1)
        return data

    def _entries(
        self, node: yaml.MappingNode, path: Path
    ) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield key, value
            else:
                line = key.start_mark.line + 1
                self.tree.problems.append(
                    Problem(spell(path), "a key that is a list or mapping", "text", line)
                )

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text: str = node.value
        if node.style:  # quoted or a block: text, whatever it looks like
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _NUMBER.fullmatch(text) and not _LEADING_ZERO.match(text):
            return self._finite(float(text), node, path)
        if _NOT_A_NUMBER.fullmatch(text):
            return self._finite(math.nan, node, path)
        if text in _BOOLEAN_TO_OTHERS:
            self.tree.words[path] = text
        return text

    def _finite(self, number: float, node: yaml.ScalarNode, path: Path) -> Any:
        if math.isfinite(number):
            return number
        line = node.start_mark.line + 1
        self.tree.problems.append(
            Problem(spell(path), f"{node.value} is not a number", "a finite number", line)
        )
        return 0
