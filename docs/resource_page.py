"""Writes the reference page of the MCPGateway resource from its schema."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import yaml

from mcp_gateway.api.crd import custom_resource_definition

Schema = dict[str, Any]

_INTRODUCTION = """\
# The MCPGateway resource

<!-- Written by `make generate` from the schema in gateway/mcp_gateway/api. Do not edit. -->

One document says everything a gateway is. `mcp-gateway run FILE` reads it from a file; in a
cluster it is a resource, `kubectl explain mcpgw.spec` shows the same text, and `mcp-gateway check
FILE` tells every mistake at once.

```yaml
apiVersion: {api_version}
kind: {kind}
metadata:
  name: my-gateway
spec:
  providers:              # the only required field
  - name: kimi
    type: kimi
    apiKey: {{env: KIMI_API_KEY}}
```

Durations are written with their unit (`500ms`, `30s`, `1h30m`), sizes too (`64Ki`, `4Mi`). Unknown
fields are errors. YAML 1.1 readers such as kubectl take a bare `on` or `Off` for a boolean, so the
key `"on"` of [retry](#specretry) and the value `"Off"` of [tuning](#spectuning) are quoted.
"""


def resource_page() -> str:
    """The page, in Markdown. The same schema gives the same text."""
    definition = custom_resource_definition()
    version = definition["spec"]["versions"][0]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    introduction = _INTRODUCTION.format(
        api_version=f"{definition['spec']['group']}/{version['name']}",
        kind=definition["spec"]["names"]["kind"],
    )
    sections = [introduction]
    written: dict[str, str] = {}
    for name in ("spec", "status"):
        sections += _sections(name, properties[name], written)
    return "\n".join(sections)


def _sections(path: str, schema: Schema, written: dict[str, str]) -> Iterator[str]:
    """The section of one mapping, then those of the mappings in it.

    `written` has the place of each mapping that was written, by its fields: one of the same
    form, such as where a secret comes from, is not written again.
    """
    rows = [f"## {path}", "", schema.get("description", ""), ""]
    rows += ["| field | form | default | |", "| --- | --- | --- | --- |"]
    inner: list[tuple[str, Schema]] = []
    for name, field in schema["properties"].items():
        place, mapping = _mapping(f"{path}.{name}", field)
        title = f"`{name}`"
        if mapping:
            first = written.setdefault(json.dumps(mapping["properties"]), place)
            title = f"[`{name}`](#{_anchor(first)})"
        needed = "**required**" if name in schema.get("required", ()) else _default(field)
        rows.append(f"| {title} | {_form(field)} | {needed} | {_cell(field)} |")
        if mapping and first == place:
            inner.append((place, mapping))
    rows += [""]
    rules = schema.get("x-kubernetes-validations", ())
    rows += [f"- {rule['message'][0].upper()}{rule['message'][1:]}." for rule in rules]
    yield "\n".join(rows + ([""] if rules else []))
    for place, mapping in inner:
        yield from _sections(place, mapping, written)


def _mapping(path: str, schema: Schema) -> tuple[str, Schema | None]:
    """Where a field's own fields are, and their schema; None where it has none."""
    if "items" in schema:
        return _mapping(f"{path}[]", schema["items"])
    if "additionalProperties" in schema:
        return _mapping(f"{path}.NAME", schema["additionalProperties"])
    return path, schema if "properties" in schema else None


def _anchor(title: str) -> str:
    """The anchor that Markdown readers give a heading."""
    return "".join(c for c in title.lower() if c.isalnum() or c in "-_")


def _form(schema: Schema) -> str:
    if "enum" in schema:
        return " ".join(f"`{choice}`" for choice in schema["enum"])
    if "items" in schema:
        return f"list of {_form(schema['items'])}"
    if "additionalProperties" in schema:
        return f"{_form(schema['additionalProperties'])} by name"
    names = {"integer": "whole number", "object": "mapping", "string": "text"}
    kind = names.get(schema["type"], str(schema["type"]))
    if "ms|s|m|h|d" in schema.get("pattern", ""):
        kind = "duration"
    elif "Ki|Mi|Gi" in schema.get("pattern", ""):
        kind = "size"
    if "minimum" in schema and "maximum" in schema:
        return f"{kind}, {schema['minimum']:g} to {schema['maximum']:g}"
    return kind


def _default(schema: Schema) -> str:
    default = _own(schema.get("default"), schema)
    if default is None or default in ({}, []):
        return ""
    # As wide as it takes: a row of a table is one line.
    text = yaml.safe_dump(default, default_flow_style=True, width=math.inf).removesuffix("...\n")
    return f"`{text.strip()}`"


def _own(default: Any, schema: Schema) -> Any:
    """A default without what the fields of a mapping say in its own section."""
    fields = schema.get("properties")
    if not isinstance(default, dict) or fields is None:
        return default
    differing = {
        name: _own(value, fields[name])
        for name, value in default.items()
        if fields[name].get("default") != value
    }
    return {name: value for name, value in differing.items() if value != {}}


def _cell(schema: Schema) -> str:
    return str(schema.get("description", "")).replace("\n", " ").replace("|", "\\|")
