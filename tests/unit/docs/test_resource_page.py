"""The page about the resource is that of the schema, and its tables are tables."""

from __future__ import annotations

import re

import pytest
from docs.generate import FILES, ROOT

PAGE = "docs/reference/mcpgateway.md"


@pytest.fixture(scope="module")
def page() -> str:
    return FILES[PAGE]()


def test_the_page_in_the_tree_is_that_of_the_code(page: str) -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page, "run `make generate`"


def test_every_row_is_one_line_of_four_cells(page: str) -> None:
    for table in re.findall(r"^\| field \|.*?(?=\n\n|\Z)", page, re.MULTILINE | re.DOTALL):
        for row in table.splitlines():
            assert len(re.split(r"(?<!\\)\|", row)) == 6, row


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("server", ""),  # all of it stands in its own section
        ("replicas", "`1`"),
        ("middleware", "`[auth, rate_limit, logging]`"),
        ("firstToken", "`{median: 800ms, sigma: 0.5}`"),
    ],
)
def test_a_default_is_told_once(page: str, field: str, default: str) -> None:
    row = re.search(rf"^\| \[?`{field}`.*$", page, re.MULTILINE)
    assert row is not None
    assert row[0].split(" | ")[2].strip() == default
