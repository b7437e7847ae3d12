"""Makes the CustomResourceDefinition from the models: one schema, for files and for clusters.

An API server takes structural schemas only. So pydantic's JSON schema is bridged: references
are written out, `X | None` becomes optional, a nested model's default becomes what differs
from the model's own defaults (usually `{}`), rules become CEL. Whatever has no structural
form raises, with its path, so that nothing is lost in silence.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

import yaml
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from mcp_gateway.api.fields import Model
from mcp_gateway.api.gateway import GROUP, KIND, VERSION, Spec
from mcp_gateway.api.status import Status

PLURAL: Final = "mcpgateways"
_KEPT: Final = frozenset(
    {
        "default",
        "description",
        "enum",
        "format",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "required",
        "type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    }
)
# Said by pydantic and by every API server anyway: titles are names again, unknown fields are
# pruned, and the length of a map's keys has no place in a structural schema.
_DROPPED: Final = frozenset({"$defs", "title", "writeOnly", "propertyNames"})
_BRIDGED: Final = frozenset({"additionalProperties", "items", "properties"})


class NotStructural(TypeError):
    """A part of the models has no form in a structural schema."""


def custom_resource_definition() -> dict[str, Any]:
    """The CustomResourceDefinition of MCPGateway resources, ready for `kubectl apply`."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["mcpgw"],
                "categories": ["all"],
            },
            "versions": [_version()],
        },
    }


def to_yaml() -> str:
    """The CustomResourceDefinition as YAML. The same models give the same text."""
    return yaml.safe_dump(custom_resource_definition(), sort_keys=False, width=100)


def structural_schema(model: type[BaseModel]) -> dict[str, Any]:
    """One model's schema in the form that an API server takes.

    Raises:
        NotStructural: a part of it has no such form.
    """
    schema = model.model_json_schema(
        by_alias=True, schema_generator=_Generator, mode="serialization"
    )
    return _bridged(schema, schema.get("$defs", {}), model.__name__)


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": "A gateway for the Model Context Protocol and LLM providers.",
                "required": ["spec"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"type": "object"},
                    "spec": structural_schema(Spec),
                    "status": structural_schema(Status),
                },
            }
        },
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": _COLUMNS,
    }


def _condition(name: str, field: str = "status") -> str:
    return f".status.conditions[?(@.type=='{name}')].{field}"


_COLUMNS: Final[list[dict[str, Any]]] = [
    {"name": "Ready", "type": "string", "jsonPath": _condition("Ready")},
    {"name": "Replicas", "type": "integer", "jsonPath": ".status.readyReplicas"},
    {"name": "Generation", "type": "integer", "jsonPath": ".status.configGeneration"},
    {"name": "Applied", "type": "string", "jsonPath": ".status.configApplied"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Reason", "type": "string", "jsonPath": _condition("Ready", "reason"), "priority": 1},
    {"name": "Endpoint", "type": "string", "jsonPath": ".status.endpoint", "priority": 1},
    {"name": "Tuning", "type": "string", "jsonPath": ".status.tuning", "priority": 1},
]


class _Generator(GenerateJsonSchema):
    """pydantic's generator, with optional fields, defaults and rules as Kubernetes has them."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Leave null out: an API server takes a missing field for it."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """State a default in the document's form; none where there is nothing by default."""
        default = schema.get("default")
        if default is None:
            return self.generate_inner(schema["schema"])
        found = super().default_schema(schema)
        if isinstance(default, BaseModel):
            # What differs from the model's own defaults; the API server adds the rest. But it
            # judges a default by the model's rules before it adds anything, so a model with
            # rules is written out. What changes it is judged by has no say there.
            ruled = isinstance(default, Model) and any(rule.cel for rule in default.rules)
            found["default"] = default.model_dump(
                by_alias=True, mode="json", exclude_defaults=not ruled, exclude_none=True
            )
        return found

    def literal_schema(self, schema: core_schema.LiteralSchema) -> JsonSchemaValue:
        """Write a single choice as an enum too: `const` is not structural."""
        found = super().literal_schema(schema)
        return {"enum": [found["const"]], "type": found["type"]} if "const" in found else found

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Add the model's rules."""
        found = super().model_schema(schema)
        cls = schema["cls"]
        if issubclass(cls, Model) and (rules := cls.cel_rules()):
            found = {**found, "x-kubernetes-validations": rules}
        return found


def _bridged(schema: Mapping[str, Any], models: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Write one part of pydantic's schema in structural form."""
    merged = dict(schema)
    while reference := merged.pop("$ref", None):
        # What the field says (its description, its default) wins over what the model says.
        merged = {**models[reference.removeprefix("#/$defs/")], **merged}
    found = {key: copy.deepcopy(merged[key]) for key in merged if key in _KEPT}
    if "description" in found:
        found["description"] = _one_line_paragraphs(found["description"])
    if found.get("format") == "password":
        del found["format"]
    if "items" in merged:
        found["items"] = _bridged(merged["items"], models, f"{path}[]")
    if "properties" in merged:
        parts = merged["properties"].items()
        found["properties"] = {k: _bridged(part, models, f"{path}.{k}") for k, part in parts}
    values = merged.get("additionalProperties")
    if isinstance(values, Mapping) and "x-kubernetes-preserve-unknown-fields" not in found:
        found["additionalProperties"] = _bridged(values, models, f"{path}{{}}")
    for key in merged.keys() - _KEPT - _DROPPED - _BRIDGED:
        raise NotStructural(f"{path}: {key} has no form in a structural schema")
    return dict(sorted(found.items(), key=lambda item: _ORDER.get(item[0], 5)))


_ORDER: Final = {"description": 0, "type": 1, "default": 2, "required": 8, "properties": 9}


def _one_line_paragraphs(text: str) -> str:
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return "\n\n".join(paragraphs)
