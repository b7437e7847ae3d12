from __future__ import annotations

import re

import pytest

from mcp_gateway.recording.schema import WRITER_ROLE, function_name, grant, migration


def test_every_place_is_filled() -> None:
    assert re.search("@[a-z]+@", migration()) is None
    assert "create table if not exists public.interactions (" in migration()


def test_table_names_everything() -> None:
    sql = migration("calls")
    assert "interactions" not in sql
    assert f"public.{function_name('calls')}(batch text)" in sql


def test_grant_is_part_of_the_migration() -> None:
    first, second, _ = grant().splitlines()
    assert first in migration()
    assert second in migration()
    assert WRITER_ROLE in second


@pytest.mark.parametrize("name", ["", "Calls", "a b", "x" * 57, "a;drop", "1a", 'a"'])
def test_name_that_would_need_quotes_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected a table name"):
        migration(name)
