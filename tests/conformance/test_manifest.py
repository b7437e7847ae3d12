"""Every requirement has a test that names it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.manifest import REQUIREMENTS, meets

HERE = Path(__file__).parent


def claims() -> Iterator[tuple[str, str]]:
    """Yield the name of each test here, with each requirement it says it shows."""
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for requirement in _claimed(node):
                    yield node.name, requirement


def _claimed(function: ast.FunctionDef) -> Iterator[str]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "meets":
            yield from (ast.literal_eval(argument) for argument in decorator.args)


def test_every_requirement_has_a_test_that_names_it() -> None:
    assert set(REQUIREMENTS) - {requirement for _, requirement in claims()} == set()


def test_only_tests_name_requirements() -> None:
    assert [name for name, _ in claims() if not name.startswith("test_")] == []


def test_an_unknown_requirement_cannot_be_named() -> None:
    with pytest.raises(KeyError):
        meets("no:such:requirement")


@pytest.mark.parametrize("name", sorted(REQUIREMENTS))
def test_every_requirement_says_where_it_is_written(name: str) -> None:
    requirement = REQUIREMENTS[name]
    assert requirement.link.startswith("https://modelcontextprotocol.io/specification/20")
    assert requirement.text.endswith(".")
    assert not requirement.divergence or requirement.divergence.endswith(".")
