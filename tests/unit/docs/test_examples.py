"""The documents on the pages, checked as `mcp-gateway check` does.

An example that shows only a part of `spec` is completed with what it leaves out.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcp_gateway.config.document import parse

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
    *sorted((ROOT / "docs" / "how-to").glob("*.md")),
]
_BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
# A layer that the page itself tells to write: nobody has installed it here.
_LAYERS_OF_READERS = {"office_hours"}


def providers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Stand-ins for those that the routes name."""
    named = {b["provider"] for route in spec.get("routes", []) for b in route["backends"]}
    return [
        {"name": name, "type": "simulator", "simulator": {"wire": name}}
        for name in sorted(named) or ["kimi"]
    ]


def examples() -> list[Any]:
    """Every block with a `spec` of ours."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for number, (_, body) in enumerate(_BLOCK.findall(text)):
            shown = yaml.safe_load(textwrap.dedent(body))
            if "spec" in shown and shown.get("kind", "MCPGateway") == "MCPGateway":
                found.append(pytest.param(shown, id=f"{page.name}-{number}"))
    return found


@pytest.mark.parametrize("shown", examples())
def test_an_example_is_good(shown: dict[str, Any]) -> None:
    spec: dict[str, Any] = {"auth": {"anonymous": True}, "providers": providers(shown["spec"])}
    spec |= shown["spec"]
    spec["server"] = {"host": "127.0.0.1", **spec.get("server", {})}
    if "middleware" in spec:
        spec["middleware"] = [m for m in spec["middleware"] if m not in _LAYERS_OF_READERS]
    whole = {
        "apiVersion": "gateway.exai.dev/v1alpha1",
        "kind": "MCPGateway",
        "metadata": {"name": "example"},
        **shown,
        "spec": spec,
    }
    loaded = parse(yaml.safe_dump(whole).encode(), source="the page")
    assert [problem.message for problem in loaded.warnings] == []
