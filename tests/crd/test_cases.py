"""Every file in `valid` is a document; every one in `invalid` has the problem of its first line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcp_gateway.config.document import InvalidDocument, load

HERE = Path(__file__).parent
VALID = sorted((HERE / "valid").glob("*.yaml"))
INVALID = sorted((HERE / "invalid").glob("*.yaml"))


def _name(path: Path) -> str:
    return path.stem


def test_there_are_many_cases() -> None:
    assert len(VALID) + len(INVALID) >= 60


@pytest.mark.parametrize("path", VALID, ids=_name)
def test_valid(path: Path) -> None:
    assert load(path).warnings == []


@pytest.mark.parametrize("path", INVALID, ids=_name)
def test_invalid(path: Path) -> None:
    first_line, _, _ = path.read_text(encoding="utf-8").partition("\n")
    expected = first_line.removeprefix("# ")

    with pytest.raises(InvalidDocument) as refused:
        load(path)

    problems = [str(problem).split(": ", 1) for problem in refused.value.problems]
    # Without "line N: ", which every problem but "empty" begins with.
    texts = [": ".join(parts[1:] if parts[0].startswith("line ") else parts) for parts in problems]
    assert any(text.startswith(expected) for text in texts), "\n".join(texts)
    assert "very-secret" not in str(refused.value)
