from __future__ import annotations

import pytest

from mcp_gateway.config.problem import InvalidDocument, Path, Problem, spell
from mcp_gateway.errors import ConfigError


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("spec",), "spec"),
        (("spec", "providers", 0, "pool"), "spec.providers[0].pool"),
        (("spec", "prices", "kimi-k2.6", "input"), 'spec.prices["kimi-k2.6"].input'),
        (("mcp", "connection_pool", "kimi"), "mcp.connection_pool.kimi"),
    ],
)
def test_a_path_is_written_as_a_person_would(path: Path, text: str) -> None:
    assert spell(path) == text


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("a.b", "is missing"), "a.b: is missing"),
        (Problem("a", "is missing", "text", 3), "line 3: a: is missing; expected text"),
        (Problem("", "empty", "a document"), "empty; expected a document"),
        (Problem("a", "did you mean b?", "one of b, c"), "a: did you mean b? expected one of b, c"),
    ],
)
def test_a_problem_reads_as_a_sentence(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_all_problems_are_told_together() -> None:
    error = InvalidDocument("gateway.yaml", [Problem("a", "is missing"), Problem("b", "too long")])

    assert str(error) == "gateway.yaml: 2 problems\n  a: is missing\n  b: too long"
    assert isinstance(error, ConfigError)
    assert str(InvalidDocument("x", [Problem("", "empty")])) == "x: 1 problem\n  empty"
