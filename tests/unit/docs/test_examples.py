"""The documents in the how-to pages, checked as `mcp-gateway check` does.

An example that shows only a part of `spec` is completed with what it leaves out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcp_gateway.config.document import parse

HOW_TO = Path(__file__).resolve().parents[3] / "docs" / "how-to"
PAGES = ("autoscale.md", "tune.md", "trace.md", "routing.md", "tls.md")
_BLOCK = re.compile(r"^[ \t]*```yaml\n(.*?)^[ \t]*```$", re.MULTILINE | re.DOTALL)


def providers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Stand-ins for those that the routes name."""
    named = {b["provider"] for route in spec.get("routes", []) for b in route["backends"]}
    return [
        {"name": name, "type": "simulator", "simulator": {"wire": name}}
        for name in sorted(named) or ["kimi"]
    ]


def examples() -> list[Any]:
    found = []
    for page in PAGES:
        text = (HOW_TO / page).read_text(encoding="utf-8")
        for number, match in enumerate(_BLOCK.finditer(text)):
            indent = len(match[0]) - len(match[0].lstrip(" "))
            example = "\n".join(line[indent:] for line in match[1].splitlines())
            if "kind: Certificate" not in example:  # another's resource
                found.append(pytest.param(example, id=f"{page}-{number}"))
    return found


@pytest.mark.parametrize("text", examples())
def test_an_example_is_good(text: str) -> None:
    shown = yaml.safe_load(text)
    spec: dict[str, Any] = {"auth": {"anonymous": True}, "providers": providers(shown["spec"])}
    spec |= shown["spec"]
    spec["server"] = {"host": "127.0.0.1", **spec.get("server", {})}
    whole = {
        "apiVersion": "gateway.exai.dev/v1alpha1",
        "kind": "MCPGateway",
        "metadata": {"name": "example"},
        **shown,
        "spec": spec,
    }
    loaded = parse(yaml.safe_dump(whole).encode(), source="the page")
    assert [problem.message for problem in loaded.warnings] == []
