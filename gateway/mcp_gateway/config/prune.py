"""Takes wrong parts out of a document's data, so that the rest can be judged by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mcp_gateway.config.problem import Path


class Pruned:
    """Data that loses its wrong parts, and remembers where the others were.

    Attributes:
        data: what is left.
        gone: places that were taken out, as they were in the beginning.
    """

    def __init__(self, data: Any) -> None:
        self.data = data
        self.gone: list[Path] = []
        # A list's entries move up when one is taken out: their first indices, by list.
        self._indices: dict[int, list[int]] = {}
        self._number(data)

    def _number(self, data: Any) -> None:
        if isinstance(data, list):
            self._indices[id(data)] = list(range(len(data)))
        for value in data.values() if isinstance(data, dict) else data:
            if isinstance(value, dict | list):
                self._number(value)

    def original(self, loc: Path) -> Path:
        """Where a place of what is left was in the beginning."""
        found: list[str | int] = []
        data = self.data
        for part in loc:
            known = self._indices.get(id(data), []) if isinstance(data, list) else []
            found.append(known[part] if isinstance(part, int) and part < len(known) else part)
            data = _child(data, part)
        return tuple(found)

    def remove(self, errors: Iterable[tuple[str, Path]]) -> bool:
        """Take out what is wrong: (type of the error, its place). False when nothing could be.

        A part that lacks something, or breaks a rule of its own, goes as a whole.
        """
        doomed: set[Path] = set()
        for kind, loc in errors:
            place = tuple(part for part in loc if part != "[key]")
            doomed.add(place[:-1] if kind == "missing" else place)
        doomed.discard(())
        self.gone += [self.original(place) for place in doomed]
        # From the end, so that the indices of earlier places stay right.
        removed = [self._remove(place) for place in sorted(doomed, key=_order, reverse=True)]
        return any(removed)

    def _remove(self, place: Path) -> bool:
        parent = self.data
        for part in place[:-1]:
            parent = _child(parent, part)
        last = place[-1]
        if isinstance(parent, dict) and last in parent:
            del parent[last]
            return True
        if isinstance(parent, list) and isinstance(last, int) and last < len(parent):
            del parent[last]
            del self._indices[id(parent)][last]
            return True
        return False


def _order(place: Path) -> list[tuple[int, str]]:
    """A sort key in which indices compare as numbers, beside keys."""
    return [(part, "") if isinstance(part, int) else (-1, part) for part in place]


def _child(data: Any, part: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(part)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return None
