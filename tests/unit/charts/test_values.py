"""Values of the charts: every one documented and described, every other one refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mcp_gateway import __version__

CHARTS = Path(__file__).parents[3] / "charts"
CHART = CHARTS / "mcp-gateway"
# Parts whose keys are people's own, or Kubernetes'.
OPEN = {"resources", "containerSecurityContext", "affinity"}


def values() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return found


def schema() -> dict[str, Any]:
    text = (CHART / "values.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def refusals(given: dict[str, Any]) -> list[str]:
    errors = jsonschema.Draft7Validator(schema()).iter_errors(given)
    return [f"{error.json_path}: {error.message}" for error in errors]


def mappings(part: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, value in part.items():
        if isinstance(value, dict) and name not in OPEN:
            yield from mappings(value, (*path, name))


def laid_over(path: tuple[str, ...], **more: object) -> dict[str, Any]:
    found = copy.deepcopy(values())
    part = found
    for name in path:
        part = part[name]
    part.update(more)
    return found


def test_the_defaults_are_good() -> None:
    jsonschema.Draft7Validator.check_schema(schema())
    assert refusals(values()) == []


def test_every_value_is_described_and_every_description_has_a_default() -> None:
    described = set(schema()["properties"]) - {"global"}
    assert described == set(values())
    for name, part in schema()["properties"].items():
        if isinstance(values().get(name), dict) and name not in OPEN and "properties" in part:
            assert set(part["properties"]) == set(values()[name]), name


@pytest.mark.parametrize(
    "path",
    [path for path in mappings(values()) if path[-1:] not in {("annotations",), ("labels",)}
     and path not in {("podAnnotations",), ("podLabels",), ("nodeSelector",)}],
    ids=lambda path: ".".join(path) or "(top)",
)  # fmt: skip
def test_a_misspelt_name_is_refused(path: tuple[str, ...]) -> None:
    (refusal,) = refusals(laid_over(path, replicaz=2))
    assert "replicaz" in refusal


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ((), "replicas", "2"),
        ((), "replicas", -1),
        ((), "watchNamespaces", "default"),
        ((), "watchNamespaces", ["Upper"]),
        ((), "watchNamespaces", ["a", "a"]),
        ((), "imagePullSecrets", ["name"]),
        ((), "extraArgs", [1]),
        (("image",), "repository", ""),
        (("image",), "digest", "latest"),
        (("image",), "pullPolicy", "Sometimes"),
        (("logging",), "level", "verbose"),
        (("networkPolicy",), "apiServerPorts", []),
        (("networkPolicy",), "apiServerPorts", [70_000]),
        (("rbac",), "create", "yes"),
        (("containerSecurityContext",), "readOnlyFilesystem", True),
        (("resources",), "limit", {}),
        (("podAnnotations",), "count", 1),
    ],
)
def test_a_wrong_value_is_refused(path: tuple[str, ...], name: str, value: object) -> None:
    assert len(refusals(laid_over(path, **{name: value}))) == 1


def test_every_value_is_explained_where_it_stands() -> None:
    lines = (CHART / "values.yaml").read_text(encoding="utf-8").splitlines()
    speaking = {"image", "logging", "serviceAccount", "rbac", "resources", "podDisruptionBudget",
                "networkPolicy", "podAnnotations", "podLabels", "nodeSelector", "tolerations",
                "affinity", "priorityClassName"}  # fmt: skip
    for number, line in enumerate(lines):
        name = line.partition(":")[0]
        if name in values() and name not in speaking:
            assert lines[number - 1].startswith("#"), name


@pytest.mark.parametrize("chart", ["mcp-gateway", "mcp-gateway-crds"])
def test_the_charts_carry_the_version_of_the_package(chart: str) -> None:
    about = yaml.safe_load((CHARTS / chart / "Chart.yaml").read_text(encoding="utf-8"))
    assert about["name"] == chart
    assert about["version"] == about["appVersion"] == __version__
