"""Every file of `tests/crd` says to a real API server what it says to the reader of files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.integration.definition.conftest import Judge
from tests.support.process import ROOT

from mcp_gateway.config.document import InvalidDocument, load
from mcp_gateway.config.yaml_text import Unreadable, read_yaml

pytestmark = pytest.mark.integration

CASES = ROOT / "tests" / "crd"
SAMPLES = ROOT / "manifests" / "samples"

ONLY_IN_A_FILE = {
    "key-twice": "JSON's last one wins, before anybody judges",
    "not-a-number": "JSON has no word for it",
    "unknown-layer": "the gateway's image knows which layers are installed",
}
"""Refused by the reader alone, and why the API server cannot."""

OF_THE_WHOLE = {
    "wrong-api-version": "there is no such address",
    "wrong-kind": "there is no such address",
    "no-kind": "it is nobody's",
}
"""Refused by both, but the API server does so before it looks at fields."""


def _resource(path: Path) -> Any:
    """The file's data; None where no resource can be made of it."""
    try:
        data = read_yaml(path.read_bytes()).data
    except Unreadable:
        return None
    if not isinstance(data, dict) or "mcp" in data:
        return None
    data.setdefault("metadata", {}).setdefault("name", "sample")
    # Where it is, and which version it had, is another cluster's business.
    for key in ("namespace", "resourceVersion", "uid"):
        data["metadata"].pop(key, None)
    return data


def _files(folder: Path) -> list[Any]:
    paths = sorted(folder.glob("*.yaml"))
    return [pytest.param(path, id=path.stem) for path in paths if _resource(path) is not None]


VALID = [*_files(CASES / "valid"), *_files(SAMPLES)]
INVALID = [case for case in _files(CASES / "invalid") if case.id not in ONLY_IN_A_FILE]


def _paths_here(path: Path) -> set[str]:
    with pytest.raises(InvalidDocument) as refused:
        load(path)
    return {re.sub(r'\["(.*?)"\]', r".\1", str(problem.path)) for problem in refused.value.problems}


def _paths_there(answer: dict[str, Any]) -> set[str]:
    """The fields that an API server names: as causes, or where unknown, in its sentence."""
    causes = answer.get("details", {}).get("causes", [])
    named = {cause["field"] for cause in causes} - {"<nil>"}
    return named | set(re.findall(r'unknown field "([^"]+)"', answer["message"]))


def _meet(here: set[str], there: set[str]) -> bool:
    """They name one field: a rule about a whole list is shown at its entry in a file."""
    return any(
        own == other or own.startswith((f"{other}.", f"{other}[")) or other.startswith(f"{own}.")
        for own in here
        for other in there
    )


def test_there_are_many_cases() -> None:
    assert len(VALID) + len(INVALID) >= 60


@pytest.mark.parametrize("path", VALID)
def test_what_is_valid_here_is_valid_there(judge: Judge, path: Path) -> None:
    resource = _resource(path)
    resource.pop("status", None)  # the operator's to write
    answer = judge.ask(resource)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("path", INVALID)
def test_what_is_refused_here_is_refused_there_at_the_same_field(judge: Judge, path: Path) -> None:
    answer = judge.ask(_resource(path))
    assert answer.status_code in {400, 422}, answer.text
    if path.stem not in OF_THE_WHOLE:
        here, there = _paths_here(path), _paths_there(answer.json())
        assert _meet(here, there), f"{sorted(here)} here, {sorted(there)} there"


@pytest.mark.parametrize("name", sorted(set(ONLY_IN_A_FILE) - {"not-a-number"}))
def test_what_only_a_file_shows_is_taken_there(judge: Judge, name: str) -> None:
    answer = judge.ask(_resource(CASES / "invalid" / f"{name}.yaml"))
    assert answer.status_code == 201, answer.text
