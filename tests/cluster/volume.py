"""Volumes of a pod as folders, written as the kubelet writes them.

A ConfigMap's or Secret's folder holds symbolic links into `..data`, itself a link to a folder
with a time in its name. An update makes a new folder and swaps that one link, so that a reader
sees the old files or the new ones, never a mixture.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.cluster.api import Object

DATA = "..data"
DEFAULT_MODE = 0o644

Find = Callable[[str, str], Object | None]
"""The object of a kind (`ConfigMap`, `Secret`) and name in the pod's namespace."""


class SourceMissing(Exception):
    """A volume or variable names an object or key that is not there; the pod waits for it."""


def data_of(kind: str, name: str, find: Find) -> dict[str, bytes]:
    """Return the keys and values of a ConfigMap or Secret.

    Raises:
        SourceMissing: there is no such object.
    """
    found = find(kind, name)
    if found is None:
        raise SourceMissing(f'{kind.lower()} "{name}" not found')
    if kind == "Secret":
        return {key: base64.b64decode(text) for key, text in (found.get("data") or {}).items()}
    binary = found.get("binaryData") or {}
    return {key: text.encode() for key, text in (found.get("data") or {}).items()} | {
        key: base64.b64decode(text) for key, text in binary.items()
    }


def data_files(kind: str, name: str, source: Object, find: Find) -> dict[str, bytes]:
    """Return the files of a ConfigMap or Secret: all keys, or `items` at the paths they name.

    Raises:
        SourceMissing: an object or key is missing and not optional.
    """
    optional = bool(source.get("optional"))
    try:
        data = data_of(kind, name, find)
    except SourceMissing:
        if optional:
            return {}
        raise
    if not source.get("items"):
        return data
    files = {}
    for item in source["items"]:
        if item["key"] in data:
            files[item["path"]] = data[item["key"]]
        elif not optional:
            raise SourceMissing(f'{kind.lower()} "{name}" has no key "{item["key"]}"')
    return files


def field_value(pod: Object, path: str) -> str:
    """Return the field of a pod that the downward API names, such as `metadata.labels['app']`."""
    if "[" in path:
        kind, _, key = path.removesuffix("']").partition("['")
        return str(pod["metadata"].get(kind.removeprefix("metadata."), {}).get(key, ""))
    value: object = pod
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    if isinstance(value, dict):  # all labels or annotations
        return "\n".join(f'{key}="{text}"' for key, text in sorted(value.items()))
    return str(value)


def projected_files(
    volume: Object, pod: Object, find: Find, token: Callable[[Object], bytes]
) -> dict[str, bytes]:
    """Return the files of a projected volume, all its sources together.

    Raises:
        SourceMissing: an object or key is missing and not optional.
    """
    files: dict[str, bytes] = {}
    for source in volume.get("sources") or []:
        for kind, word in (("ConfigMap", "configMap"), ("Secret", "secret")):
            if word in source:
                files |= data_files(kind, source[word]["name"], source[word], find)
        if "downwardAPI" in source:
            files |= _downward_files(source["downwardAPI"], pod)
        if "serviceAccountToken" in source:
            wanted = source["serviceAccountToken"]
            files[wanted["path"]] = token(wanted)
    return files


def _downward_files(source: Object, pod: Object) -> dict[str, bytes]:
    return {
        item["path"]: field_value(pod, item["fieldRef"]["fieldPath"]).encode()
        for item in source.get("items") or []
        if "fieldRef" in item
    }


def volume_files(
    volume: Object, pod: Object, find: Find, token: Callable[[Object], bytes]
) -> dict[str, bytes] | None:
    """Return the files of one volume of a pod; None for a volume that the pod itself fills.

    Raises:
        SourceMissing: an object or key is missing and not optional.
    """
    if "configMap" in volume:
        source = volume["configMap"]
        return data_files("ConfigMap", source["name"], source, find)
    if "secret" in volume:
        source = volume["secret"]
        return data_files("Secret", source["secretName"], source, find)
    if "projected" in volume:
        return projected_files(volume["projected"], pod, find, token)
    if "downwardAPI" in volume:
        return _downward_files(volume["downwardAPI"], pod)
    return None


def mode_of(volume: Object) -> int:
    """Return the permissions a volume asks for its files."""
    for word in ("configMap", "secret", "projected", "downwardAPI"):
        if word in volume:
            return int(volume[word].get("defaultMode") or DEFAULT_MODE)
    return DEFAULT_MODE


def write(folder: Path, files: Mapping[str, bytes], mode: int = DEFAULT_MODE) -> bool:
    """Make `files` the content of a volume's folder, all at once.

    Returns:
        Whether anything was different.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / DATA
    if data.exists() and _read(data.resolve()) == dict(files):
        return False
    old = data.resolve() if data.exists() else None
    payload = folder / f"..{secrets.token_hex(6)}"
    payload.mkdir()
    for path, content in files.items():
        place = payload / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(mode)
    swap = folder / "..data_tmp"
    swap.symlink_to(payload.name)
    swap.rename(data)
    _link(folder, {path.partition("/")[0] for path in files})
    if old is not None:
        shutil.rmtree(old)
    return True


def _read(payload: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(payload)): path.read_bytes()
        for path in payload.rglob("*")
        if path.is_file()
    }


def _link(folder: Path, names: set[str]) -> None:
    present = {entry for entry in os.listdir(folder) if not entry.startswith("..")}
    for name in names - present:
        (folder / name).symlink_to(f"{DATA}/{name}")
    for name in present - names:
        (folder / name).unlink()
