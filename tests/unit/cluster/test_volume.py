"""Volumes have the files that a kubelet would write, and change all at once."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.volume import (
    SourceMissing,
    data_files,
    field_value,
    mode_of,
    volume_files,
    write,
)

OBJECTS: dict[tuple[str, str], dict[str, Any]] = {
    ("ConfigMap", "pages"): {
        "data": {"a": "1"},
        "binaryData": {"b": base64.b64encode(b"\xff").decode()},
    },
    ("Secret", "keys"): {"data": {"kimi.key": base64.b64encode(b"sk-1").decode()}},
}
POD = {
    "metadata": {"name": "one", "labels": {"app": "web", "b": "2"}},
    "status": {"podIP": "127.1.1.1"},
}


def find(kind: str, name: str) -> dict[str, Any] | None:
    return OBJECTS.get((kind, name))


def files(volume: dict[str, Any]) -> dict[str, bytes] | None:
    return volume_files(volume, POD, find, lambda source: b"token")


def test_config_map_has_text_and_binary_keys() -> None:
    assert files({"configMap": {"name": "pages"}}) == {"a": b"1", "b": b"\xff"}


def test_items_choose_keys_and_paths() -> None:
    items = [{"key": "kimi.key", "path": "kimi/key"}]
    assert files({"secret": {"secretName": "keys", "items": items}}) == {"kimi/key": b"sk-1"}


@pytest.mark.parametrize(
    ("name", "items", "message"),
    [
        ("none", [], 'secret "none" not found'),
        ("keys", [{"key": "glm", "path": "glm"}], 'secret "keys" has no key "glm"'),
    ],
)
def test_what_is_missing_is_named(name: str, items: list[Any], message: str) -> None:
    with pytest.raises(SourceMissing, match=message):
        data_files("Secret", name, {"items": items}, find)
    assert data_files("Secret", name, {"items": items, "optional": True}, find) == {}


def test_projected_volume_has_all_its_sources() -> None:
    downward = {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}
    sources = [
        {"configMap": {"name": "pages", "items": [{"key": "a", "path": "a"}]}},
        {"secret": {"name": "keys"}},
        {"downwardAPI": downward},
        {"serviceAccountToken": {"path": "token"}},
    ]
    assert files({"projected": {"sources": sources}}) == {
        "a": b"1",
        "kimi.key": b"sk-1",
        "name": b"one",
        "token": b"token",
    }


def test_volume_that_the_pod_fills_has_no_files_of_ours() -> None:
    assert files({"emptyDir": {}}) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "one"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", 'app="web"\nb="2"'),
        ("metadata.annotations", ""),
        ("status.podIP", "127.1.1.1"),
    ],
)
def test_downward_api(path: str, value: str) -> None:
    assert field_value(POD, path) == value


def test_mode_is_the_one_asked_for() -> None:
    assert mode_of({"secret": {"secretName": "a", "defaultMode": 0o400}}) == 0o400
    assert mode_of({"configMap": {"name": "a"}}) == 0o644


def test_update_swaps_one_link_and_leaves_nothing_old(tmp_path: Path) -> None:
    assert write(tmp_path, {"a": b"1", "deep/b": b"1"}, 0o400)
    before = os.readlink(tmp_path / "..data")
    assert (tmp_path / "a").is_symlink()
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o400
    assert write(tmp_path, {"a": b"2", "c": b"2"})
    assert os.readlink(tmp_path / "..data") != before
    assert sorted(entry for entry in os.listdir(tmp_path) if not entry.startswith("..")) == [
        "a",
        "c",
    ]
    assert (tmp_path / "a").read_bytes() == b"2"
    assert len([entry for entry in os.listdir(tmp_path) if entry.startswith("..")]) == 2


def test_reader_of_the_old_folder_sees_no_mixture(tmp_path: Path) -> None:
    write(tmp_path, {"a": b"1", "b": b"1"})
    old = (tmp_path / "..data").resolve()
    with (old / "b").open("rb") as reader:
        write(tmp_path, {"a": b"2", "b": b"2"})
        assert reader.read() == b"1"


def test_same_content_touches_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"a": b"1"})
    before = os.readlink(tmp_path / "..data")
    assert not write(tmp_path, {"a": b"1"})
    assert os.readlink(tmp_path / "..data") == before
