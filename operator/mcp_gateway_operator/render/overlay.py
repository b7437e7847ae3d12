"""Lays what a person wrote over what was rendered, lists of named things merged by name.

The merge keys are those of a strategic merge patch, so that `podTemplate` reads as people know
it from there: containers, volumes and variables by name, ports by number, mounts by path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_MERGE_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}


def overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` into a copy of `base`; what `over` says wins, null takes a field out."""
    merged = dict(base)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(key, base.get(key), value)
    return merged


def _merged(key: str, base: Any, over: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return overlay(base, over)
    by = _MERGE_KEYS.get(key)
    if by is not None and _keyed(base, by) and _keyed(over, by):
        return _by_key(base, over, by)
    return over


def _keyed(value: Any, by: str) -> bool:
    return isinstance(value, Sequence) and all(
        isinstance(item, Mapping) and by in item for item in value
    )


def _by_key(
    base: Sequence[Mapping[str, Any]], over: Sequence[Mapping[str, Any]], by: str
) -> list[dict[str, Any]]:
    merged = {item[by]: dict(item) for item in base}
    for item in over:
        merged[item[by]] = overlay(merged.get(item[by], {}), item)
    return list(merged.values())
