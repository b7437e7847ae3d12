from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.recording import spool_settings

from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.spool import Row, Spool

NOW = 1_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "spool.db"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    spool = Spool(path, spool_settings(ships=True))
    yield spool
    spool.close()


def rows(*numbers: int, size: int = 10) -> list[Row]:
    return [Row(str(number), NOW, "x" * size) for number in numbers]


def test_spool_belongs_to_one_process(spool: Spool, path: Path) -> None:
    with pytest.raises(ConfigError, match="another running gateway"):
        Spool(path, spool_settings())
    spool.close()
    spool.close()
    Spool(path, spool_settings()).close()


def test_content_is_for_the_owner_only(spool: Spool, path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0


def test_damaged_file_is_set_aside_and_kept(path: Path) -> None:
    path.parent.mkdir(parents=True)
    for number in range(2):
        path.write_bytes(b"no database " * 1000)
        spool = Spool(path, spool_settings())
        assert spool.set_aside == Path(f"{path}.damaged-{number}")
        assert spool.set_aside.read_bytes().startswith(b"no database")
        spool.write(rows(1), now=NOW)
        spool.close()
        path.unlink()


def test_a_torn_page_in_the_middle_is_noticed_when_the_spool_is_opened(path: Path) -> None:
    spool = Spool(path, spool_settings())
    spool.write(rows(*range(1000), size=1000), now=NOW)
    spool.close()
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 4096 * 4096
    data[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    spool = Spool(path, spool_settings())
    assert spool.set_aside == Path(f"{path}.damaged-0")
    spool.close()


def test_torn_pages_are_noticed_when_the_spool_is_opened(path: Path) -> None:
    spool = Spool(path, spool_settings())
    spool.write(rows(*range(100), size=1000), now=NOW)
    spool.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xaa" * (len(data) - 4096)
    path.write_bytes(data)
    again = Spool(path, spool_settings())
    assert again.set_aside is not None
    again.close()


def test_foreign_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 7")
    db.execute("CREATE TABLE mine (a)")
    db.close()
    with pytest.raises(ConfigError, match="not a spool"):
        Spool(path, spool_settings())
    assert path.exists()


def test_folder_that_cannot_be_made_is_a_mistake_of_the_document(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        Spool(tmp_path / "file" / "spool.db", spool_settings())


def test_people_can_ask_the_file_itself(spool: Spool, path: Path) -> None:
    spool.write([Row("a", 0.0, '{"provider": "kimi", "status": 200}')], now=NOW)
    db = sqlite3.connect(path)
    assert list(db.execute("SELECT started, provider, status FROM interactions")) == [
        ("1970-01-01 00:00:00", "kimi", 200)
    ]
    db.close()
