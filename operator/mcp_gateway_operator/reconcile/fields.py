"""Who set which field: `managedFields`, read.

The API server writes down which manager set what. When another one changes a field of ours, or
takes it out, the field leaves our entry: comparing that entry with the one after our last
write shows drift, whatever else the object consists of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mcp_gateway_operator.cluster.item import ManagedFields
from mcp_gateway_operator.render.gateway import MANAGER


def ours(managed: Sequence[ManagedFields]) -> bytes:
    """A digest of the fields that are ours; empty where none is."""
    entry = _our_entry(managed)
    if entry is None:
        return b""
    return hashlib.blake2b(bytes(entry.fields), digest_size=8).digest()


def maybe_touched(managed: Sequence[ManagedFields]) -> bool:
    """Somebody may have taken fields of ours: they wrote no earlier than we did.

    For an object that we meet after a start, without knowing what our last write left.
    """
    entry = _our_entry(managed)
    if entry is None:
        return True
    # What was written through the scale subresource bears no time.
    return any(not other.time or other.time >= entry.time for other in _others(managed))


def takers(after: Sequence[ManagedFields], before: Sequence[ManagedFields]) -> dict[str, list[str]]:
    """The fields that a repair took back, by the manager that had them.

    Args:
        after: once it was repaired.
        before: as it was found.

    Returns:
        Paths such as `spec.replicas` by manager. What was taken out altogether is filed under
        the manager that wrote last.
    """
    mine, had = _paths(_our_entry(after)), _paths(_our_entry(before))
    lost = mine - had
    others = sorted(_others(before), key=lambda entry: entry.time, reverse=True)
    found: dict[str, list[str]] = {}
    for path in sorted(lost):
        owners = [entry.manager for entry in others if path in _paths(entry)]
        manager = owners[0] if owners else (others[0].manager if others else "")
        found.setdefault(manager or "an unknown manager", []).append(".".join(path))
    return found


def _our_entry(managed: Sequence[ManagedFields]) -> ManagedFields | None:
    for entry in managed:
        if entry.manager == MANAGER and entry.operation == "Apply" and not entry.subresource:
            return entry
    return None


def _others(managed: Sequence[ManagedFields]) -> list[ManagedFields]:
    return [
        entry
        for entry in managed
        if entry.subresource != "status"
        and not (entry.manager == MANAGER and entry.operation == "Apply")
    ]


def _paths(entry: ManagedFields | None) -> set[tuple[str, ...]]:
    if entry is None:
        return set()
    return set(_leaves(json.loads(bytes(entry.fields)), ()))


def _leaves(fields: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The leaves of a `fieldsV1` tree: `f:` is a field, `k:` an item by its keys, `v:` by value."""
    for name, below in fields.items():
        if name == ".":
            continue
        sign, _, rest = name.partition(":")
        part = _item(rest) if sign == "k" else rest
        here = (*path, part)
        if below and set(below) != {"."}:
            yield from _leaves(below, here)
        else:
            yield here


def _item(keys: str) -> str:
    try:
        values = json.loads(keys)
    except ValueError:
        return keys
    return "[" + ",".join(str(value) for value in values.values()) + "]"
