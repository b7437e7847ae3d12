from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from mcp_gateway.api.crd import (
    NotStructural,
    custom_resource_definition,
    structural_schema,
    to_yaml,
)
from mcp_gateway.api.fields import Duration, Model, Rule

Schema = dict[str, Any]
STRUCTURAL = {
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
}


def version() -> Schema:
    (only,) = custom_resource_definition()["spec"]["versions"]
    found: Schema = only
    return found


def root() -> Schema:
    found: Schema = version()["schema"]["openAPIV3Schema"]
    return found


def parts(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from parts(inner, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from parts(schema[key], f"{path}[]")


ALL = list(parts(root()))


def test_the_resource_has_its_names_and_subresources() -> None:
    spec = custom_resource_definition()["spec"]

    assert spec["names"]["shortNames"] == ["mcpgw"]
    assert version()["subresources"]["scale"] == {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    columns = version()["additionalPrinterColumns"]
    narrow = [column["name"] for column in columns if not column.get("priority")]
    wide = [column["name"] for column in columns if column.get("priority")]
    assert narrow == ["Ready", "Replicas", "Generation", "Applied", "Age"]
    assert wide == ["Reason", "Endpoint", "Tuning"]


def test_changes_that_would_lose_records_are_refused() -> None:
    rules = dict(ALL)[".spec.recording.spool"]["x-kubernetes-validations"]

    assert [rule["fieldPath"] for rule in rules] == [".storage", ".size", ".storageClassName"]
    assert all("oldSelf" in rule["rule"] for rule in rules)


def test_every_part_is_structural() -> None:
    for path, schema in ALL:
        foreign = {key for key in schema if not key.startswith("x-kubernetes-")} - STRUCTURAL
        assert not foreign, path
        assert isinstance(schema["type"], str), path


def test_every_field_of_the_spec_is_described() -> None:
    for path, schema in ALL:
        if path.startswith((".spec", ".status")) and not path.endswith("[]"):
            assert schema.get("description"), path


def test_lists_texts_and_maps_are_bounded_so_that_rules_have_a_cost() -> None:
    for path, schema in ALL:
        if not path.startswith(".spec."):
            continue
        if schema["type"] == "array":
            assert "maxItems" in schema, path
        if schema["type"] == "string" and "enum" not in schema:
            assert "maxLength" in schema, path
        if "additionalProperties" in schema:
            assert "maxProperties" in schema, path


def test_defaults_fit_their_own_schema() -> None:
    for path, schema in ALL:
        if "default" in schema:
            jsonschema.validate(schema["default"], schema), path


def test_a_rule_is_shown_at_a_field_there_is() -> None:
    for path, schema in ALL:
        for rule in schema.get("x-kubernetes-validations", ()):
            found = schema
            for part in rule.get("fieldPath", ".").strip(".").split("."):
                found = found["properties"][part] if part else found
            assert rule["message"], path


def test_yaml_is_plain_and_always_the_same() -> None:
    text = to_yaml()

    assert yaml.safe_load(text) == custom_resource_definition()
    assert text == to_yaml()
    assert "&id" not in text


class Inner(Model):
    """An inner part."""

    wait: Duration = 0.5
    count: int | None = None


class Ruled(Model):
    low: int = 1
    high: int | None = None
    rules = (Rule(("low",), lambda m: m.low > 0, "self.low > 0", "low must be more than 0"),)


class Outer(Model):
    same: Inner = Inner()
    other: Inner = Inner(wait=2.0)
    maybe: Inner | None = None
    ruled: Ruled = Ruled()
    only: Literal["one"] = "one"


def test_a_default_is_what_differs_from_the_models_own() -> None:
    fields = structural_schema(Outer)["properties"]

    assert fields["same"]["default"] == {}
    assert fields["other"]["default"] == {"wait": "2s"}
    assert "default" not in fields["maybe"]
    assert fields["same"]["properties"]["wait"]["default"] == "500ms"
    assert "default" not in fields["same"]["properties"]["count"]


def test_the_default_of_a_model_with_rules_is_written_out() -> None:
    ruled = structural_schema(Outer)["properties"]["ruled"]

    assert ruled["default"] == {"low": 1}
    assert ruled["x-kubernetes-validations"][0]["rule"] == "self.low > 0"


def test_a_single_choice_is_an_enum() -> None:
    assert structural_schema(Outer)["properties"]["only"]["enum"] == ["one"]


def test_what_has_no_structural_form_is_told_with_its_place() -> None:
    class Either(BaseModel):
        value: int | str = 1

    with pytest.raises(NotStructural, match=r"Either\.value: anyOf"):
        structural_schema(Either)
