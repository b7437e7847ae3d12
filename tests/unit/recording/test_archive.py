from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.support.recording import record, spool_settings

from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.archive import Archive, Question
from mcp_gateway.recording.spool import DeadLetter, Row, Spool


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "spool.db"
    spool = Spool(path, spool_settings(ships=True, keep_shipped=True))
    records = [
        record(1, started=100.0),
        record(2, started=200.0, provider="glm", model="glm-5", route="glm"),
        record(3, started=300.0, client="bob", error="UpstreamTimeout", status=504),
        record(4, started=400.0, error="RateLimited", status=429),
        record(5, started=500.0, request=msgspec.Raw(b'{"n":1e999999}')),
    ]
    rows = [Row(r.id, r.started, msgspec.json.encode(r).decode()) for r in records]
    spool.write(rows, now=0.0)
    spool.write((), now=7.0, watermark=5, dead=[DeadLetter(5, "22003: overflow")])
    spool.write(rows[3:4], now=8.0)
    spool.close()
    return path


@pytest.fixture
def archive(path: Path) -> Iterator[Archive]:
    with Archive(path) as archive:
        yield archive


@pytest.mark.parametrize(
    ("question", "found"),
    [
        (Question(), [4, 4, 3, 2, 1]),
        (Question(since=200.0, until=400.0), [3, 2]),
        (Question(provider="glm"), [2]),
        (Question(model="glm-5", route="glm"), [2]),
        (Question(client="bob"), [3]),
        (Question(error=True), [4, 4, 3]),
        (Question(error=False), [2, 1]),
        (Question(error="UpstreamTimeout"), [3]),
        (Question(unshipped=True), [4]),
        (Question(client="nobody"), []),
    ],
)
def test_question_is_answered(archive: Archive, question: Question, found: list[int]) -> None:
    assert [int(each["id"], 16) for each in archive.latest(question, 10)] == found
    assert len(list(archive.lines(question))) == len(found)


def test_limit_takes_the_newest(archive: Archive) -> None:
    assert [int(each["id"], 16) for each in archive.latest(Question(), 1)] == [4]


def test_lines_are_json_and_begin_with_the_oldest(archive: Archive) -> None:
    first = next(archive.lines(Question()))
    assert msgspec.json.decode(first)["id"] == record(1).id


def test_record_is_found_by_the_beginning_of_its_id(archive: Archive) -> None:
    assert len(archive.find("000")) == 6
    (found,) = archive.find(record(2).id)
    assert found["provider"] == "glm"
    (dead,) = archive.find(record(5).id)
    assert dead["request"] == {"n": "1e999999"}
    assert archive.find("*") == []
    assert archive.find("?") == []


def test_counts(archive: Archive) -> None:
    assert archive.counts() == {"records": 5, "unshipped": 1, "dead_letters": 1}


def test_dead_letters_have_their_reason(archive: Archive) -> None:
    (dead,) = archive.dead_letters()
    assert (dead.seq, dead.reason, dead.died) == (5, "22003: overflow", 7.0)


def test_replayed_dead_letter_waits_with_a_new_number(archive: Archive, path: Path) -> None:
    assert archive.replay([99]) == 0
    assert archive.replay([5]) == 1
    assert archive.dead_letters() == []
    db = sqlite3.connect(path)
    assert db.execute("SELECT seq FROM records ORDER BY seq DESC LIMIT 1").fetchone() == (7,)
    db.close()
    assert archive.replay() == 0


def test_discarded_dead_letter_is_gone(archive: Archive) -> None:
    assert archive.discard([99]) == 0
    assert archive.discard() == 1
    assert archive.counts() == {"records": 5, "unshipped": 1, "dead_letters": 0}


def test_archive_reads_beside_a_writer(path: Path) -> None:
    spool = Spool(path, spool_settings(ships=True))
    with Archive(path) as archive:
        spool.write([Row("new", 1.0, '{"id": "new"}')], now=0.0)
        assert archive.latest(Question(), 1)[0]["id"] == "new"
    spool.close()


def test_missing_spool_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no spool at"):
        Archive(tmp_path / "absent.db")


def test_foreign_file_is_said(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("notes " * 1000)
    with pytest.raises(ConfigError, match="not a spool"):
        Archive(text)
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE a (b)")
    db.close()
    with pytest.raises(ConfigError, match="not a spool of this gateway"):
        Archive(other)
