from __future__ import annotations

from pathlib import Path

from docs.cli_page import cli_page

ROOT = Path(__file__).parents[3]


def test_the_page_in_the_tree_is_that_of_the_command_line() -> None:
    written = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")

    assert written == cli_page(), "run `make generate`"


def test_every_command_and_option_is_on_the_page() -> None:
    page = cli_page()

    for words in ("## mcp-gateway run", "### mcp-gateway keys create", "`--secrets-dir DIR`"):
        assert words in page
