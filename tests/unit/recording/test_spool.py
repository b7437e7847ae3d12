from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.recording import spool_settings

from mcp_gateway.recording.spool import DeadLetter, Row, Spool, SpoolReader, Stored

NOW = 1_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "spool.db"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    spool = Spool(path, spool_settings(ships=True))
    yield spool
    spool.close()


def rows(*numbers: int, started: float = NOW, size: int = 10) -> list[Row]:
    return [Row(str(number), started, "x" * size) for number in numbers]


def waiting(path: Path, after: int = 0) -> list[Stored]:
    reader = SpoolReader(path)
    try:
        return reader.after(after, limit=10_000, size=1 << 40)
    finally:
        reader.close()


def dead(path: Path) -> list[tuple[int, str, str]]:
    db = sqlite3.connect(path)
    try:
        return list(db.execute("SELECT seq, id, reason FROM dead_letters"))
    finally:
        db.close()


def test_rows_come_back_in_their_order(spool: Spool, path: Path) -> None:
    spool.write(rows(*range(300)), now=NOW)
    stored = waiting(path)
    assert [row.id for row in stored] == [str(number) for number in range(300)]
    assert [row.seq for row in stored] == list(range(1, 301))
    assert spool.last() == 300


def test_committed_rows_are_there_for_the_next_life(path: Path) -> None:
    first = Spool(path, spool_settings(ships=True))
    first.write(rows(1, 2), now=NOW, watermark=1)
    first.close()
    second = Spool(path, spool_settings(ships=True))
    assert (second.watermark, second.last()) == (1, 2)
    second.close()


def test_numbers_are_never_used_again(spool: Spool, path: Path) -> None:
    spool.write(rows(1, 2), now=NOW)
    spool.write((), now=NOW, watermark=2)
    spool.write(rows(3), now=NOW)
    assert [row.seq for row in waiting(path)] == [3]


def test_shipped_rows_go_unless_they_are_to_stay(spool: Spool, path: Path, tmp_path: Path) -> None:
    spool.write(rows(1, 2, 3), now=NOW)
    assert spool.write((), now=NOW, watermark=2).pruned == 2
    assert [row.id for row in waiting(path)] == ["3"]
    keeping = Spool(tmp_path / "keep.db", spool_settings(ships=True, keep_shipped=True))
    keeping.write(rows(1, 2), now=NOW)
    keeping.write((), now=NOW, watermark=2)
    assert len(waiting(tmp_path / "keep.db")) == 2
    keeping.close()


def test_watermark_never_goes_back(spool: Spool) -> None:
    spool.write(rows(1, 2, 3), now=NOW)
    spool.write((), now=NOW, watermark=2)
    spool.write((), now=NOW, watermark=1)
    assert spool.watermark == 2


def test_rejected_row_moves_to_the_dead_letters(spool: Spool, path: Path) -> None:
    spool.write(rows(1, 2, 3), now=NOW)
    spool.write((), now=NOW, watermark=3, dead=[DeadLetter(2, "22003: too much")])
    assert waiting(path) == []
    assert dead(path) == [(2, "2", "22003: too much")]
    assert spool.dead_letters() == 1


def test_failed_commit_changes_nothing(spool: Spool, path: Path) -> None:
    spool.write(rows(1), now=NOW)
    wrong = [*rows(2), Row("3", NOW, None)]  # type: ignore[arg-type]
    with pytest.raises((sqlite3.IntegrityError, TypeError)):
        spool.write(wrong, now=NOW, watermark=1)
    assert [row.id for row in waiting(path)] == ["1"]
    assert spool.watermark == 0
    spool.write(rows(4), now=NOW)
    assert [row.id for row in waiting(path)] == ["1", "4"]


def test_shipped_rows_give_way_before_new_ones_are_refused(tmp_path: Path) -> None:
    settings = spool_settings(size=1 << 20, ships=True, keep_shipped=True, when_full="drop_newest")
    spool = Spool(tmp_path / "spool.db", settings)
    refused = pruned = 0
    for number in range(0, 1000, 10):
        removed = spool.write(
            rows(*range(number, number + 10), size=5000), now=NOW, watermark=spool.last()
        )
        refused, pruned = refused + removed.refused, pruned + removed.pruned
    assert (refused, spool.last()) == (0, 1000)
    assert pruned > 500
    spool.close()


def test_full_spool_gives_up_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = Spool(path, spool_settings(size=1 << 20, ships=True))
    lost = 0
    for number in range(0, 1000, 10):
        removed = spool.write(rows(*range(number, number + 10), size=5000), now=NOW)
        lost += removed.full
    left = waiting(path)
    assert lost > 500
    assert len(left) == 1000 - lost
    assert left[-1].id == "999"
    assert path.stat().st_size <= 1 << 20
    spool.close()


def test_full_spool_refuses_the_newest_where_the_oldest_are_to_stay(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = Spool(path, spool_settings(size=1 << 20, when_full="drop_newest"))
    refused = sum(spool.write(rows(number, size=5000), now=NOW).refused for number in range(1000))
    left = waiting(path)
    assert left[0].id == "0"
    assert len(left) == 1000 - refused
    assert refused > 500
    spool.close()


def test_shipped_rows_give_way_first_and_are_no_loss(tmp_path: Path) -> None:
    spool = Spool(
        tmp_path / "spool.db", spool_settings(size=1 << 20, ships=True, keep_shipped=True)
    )
    for number in range(400):
        removed = spool.write(rows(number, size=5000), now=NOW, watermark=spool.last())
        assert removed.full == 0
    spool.close()


def test_old_dead_letters_give_way_to_new_records(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = Spool(path, spool_settings(size=1 << 20, ships=True))
    for number in range(1, 121):
        spool.write(rows(number, size=5000), now=NOW)
        spool.write((), now=NOW, watermark=number, dead=[DeadLetter(number, "why")])
    lost = sum(spool.write(rows(number, size=5000), now=NOW).full for number in range(200, 260))
    assert lost == 120
    assert dead(path) == []
    assert [row.id for row in waiting(path)] == [str(number) for number in range(200, 260)]
    spool.close()


def test_record_that_would_fill_the_spool_alone_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = Spool(path, spool_settings(size=1 << 20))
    removed = spool.write([*rows(1, size=400_000), *rows(2)], now=NOW)
    assert removed.too_large == 1
    assert [row.id for row in waiting(path)] == ["2"]
    spool.close()


def test_old_records_leave(spool: Spool, path: Path) -> None:
    week = spool.settings.max_age
    spool.write(rows(1, started=NOW - week - 1), now=NOW)
    spool.write(rows(2, started=NOW), now=NOW)
    spool.write(rows(3, started=NOW - week - 1), now=NOW)
    spool.write((), now=NOW, watermark=0)
    removed = spool.prune(NOW)
    assert (removed.expired, removed.pruned) == (2, 0)
    assert [row.id for row in waiting(path)] == ["2"]
    assert spool.prune(NOW).expired == 0


def test_old_dead_letters_leave(spool: Spool) -> None:
    spool.write(rows(1), now=NOW)
    spool.write((), now=NOW, watermark=1, dead=[DeadLetter(1, "why")])
    assert spool.prune(NOW + spool.settings.max_age + 1).expired == 1
    assert spool.dead_letters() == 0


def test_records_that_nothing_ships_leave_without_being_lost(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", spool_settings())
    spool.write(rows(1), now=NOW)
    removed = spool.prune(NOW + spool.settings.max_age + 1)
    assert (removed.expired, removed.pruned) == (0, 1)
    spool.close()


def test_room_of_a_shipped_backlog_goes_back_to_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = Spool(path, spool_settings(ships=True))
    spool.write(rows(*range(500), size=50_000), now=NOW)
    spool.write((), now=NOW, watermark=500)
    before = spool.size()
    for _ in range(10):
        spool.prune(NOW)
    spool.close()
    assert path.stat().st_size < before - (4 << 20)


def test_reader_bounds_a_batch_by_rows_and_bytes(spool: Spool, path: Path) -> None:
    spool.write(rows(*range(10), size=100), now=NOW)
    reader = SpoolReader(path)
    assert len(reader.after(0, limit=3, size=10_000)) == 3
    assert len(reader.after(3, limit=10, size=250)) == 2
    assert len(reader.after(5, limit=10, size=1)) == 1
    newest = reader.newest()
    assert newest is not None
    assert newest.id == "9"
    reader.close()


def test_reader_of_an_empty_spool_finds_nothing(spool: Spool, path: Path) -> None:
    reader = SpoolReader(path)
    assert reader.newest() is None
    assert reader.after(0, limit=1, size=1) == []
    reader.close()
