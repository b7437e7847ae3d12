"""The definition that a cluster gets agrees with the files, as far as a schema can say it.

What only an API server judges (its rules, their cost) is tried against one elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from docs.generate import FILES, ROOT

from mcp_gateway.api.crd import custom_resource_definition
from mcp_gateway.config.yaml_text import read_yaml

VALID = sorted((Path(__file__).parent / "valid").glob("*.yaml"))
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
# The original form is for files only.
RESOURCES = [path for path in [*VALID, *SAMPLES] if "kind: " in path.read_text(encoding="utf-8")]


def _without_nulls(data: Any) -> Any:
    """Drop keys without a value, as an API server does before it validates."""
    if isinstance(data, dict):
        return {key: _without_nulls(value) for key, value in data.items() if value is not None}
    return [_without_nulls(value) for value in data] if isinstance(data, list) else data


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.stem)
def test_a_document_that_is_valid_here_is_valid_there(path: Path) -> None:
    data = read_yaml(path.read_bytes()).data
    (version,) = custom_resource_definition()["spec"]["versions"]

    jsonschema.validate(_without_nulls(data), version["schema"]["openAPIV3Schema"])


@pytest.mark.parametrize("name", FILES)
def test_generated_files_are_current(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name](), "run `make generate`"
