"""Reads the files that `render` and `diff` are given: MCPGateways among other things."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mcp_gateway.api import API_VERSION, KIND
from mcp_gateway_operator.cli.terminal import Complaint
from mcp_gateway_operator.render import Gateway

Resource = dict[str, Any]


def resources(file: str) -> list[Resource]:
    """Return the MCPGateways of a YAML or JSON file, `-` for stdin; other kinds are passed over.

    Raises:
        Complaint: it cannot be read, is no YAML, or has none.
    """
    source = "stdin" if file == "-" else file
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        documents = list(yaml.safe_load_all(text))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise Complaint(f"{source}: {exc}", status=2) from exc
    found = [
        item
        for document in documents
        for item in _items(document)
        if (item.get("apiVersion"), item.get("kind")) == (API_VERSION, KIND)
    ]
    if not found:
        raise Complaint(
            f"{source} has no MCPGateway",
            f"expected a document with apiVersion: {API_VERSION} and kind: {KIND}",
            status=2,
        )
    return found


def gateway(resource: Resource, namespace: str) -> Gateway:
    """Read one MCPGateway, in `namespace` where it names none.

    Raises:
        Complaint: it is not right; the message has every problem.
    """
    try:
        return Gateway.read(resource, namespace)
    except ValidationError as exc:
        name = (resource.get("metadata") or {}).get("name", "(no name)")
        lines = [f"  {_path(error['loc'])}: {error['msg']}" for error in exc.errors()]
        raise Complaint(
            "\n".join([f"MCPGateway {name} is not right:", *lines]),
            "mcp-gateway check FILE explains each problem",
            status=2,
        ) from exc


def _items(document: Any) -> list[Resource]:
    if not isinstance(document, dict):
        return []
    if document.get("kind") == "List":
        return [item for item in document.get("items") or [] if isinstance(item, dict)]
    return [document]


def _path(location: tuple[int | str, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "(document)"
