from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_gateway import api


def written() -> dict[str, str]:
    """Module of each name, as the imports for checkers have it."""
    tree = ast.parse(Path(str(api.__file__)).read_text())
    return {
        alias.name: str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mcp_gateway.")
        for alias in node.names
    }


def test_every_name_is_the_one_that_a_checker_sees() -> None:
    where = written()
    assert sorted(where) == sorted(api.__all__)
    for name, module in where.items():
        assert getattr(api, name) is getattr(importlib.import_module(module), name)
    assert set(api.__all__) <= set(dir(api))


def test_other_names_are_none() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        _ = api.no_such  # type: ignore[attr-defined]


def test_a_client_loads_no_models() -> None:
    script = (
        "import sys, mcp_gateway.client; mcp_gateway.client.Client('ws://localhost:1/mcp');"
        "sys.exit(any(name.startswith('pydantic') for name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == 0
