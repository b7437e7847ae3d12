"""The writer's thread, on a real file: what it writes and counts, and what it survives."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.recording import record, spool_settings

from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.archive import Archive, Question
from mcp_gateway.recording.encode import RecordEncoder
from mcp_gateway.recording.record import Record
from mcp_gateway.recording.spool import DeadLetter, Row
from mcp_gateway.recording.writer import Batch, Progress, SpoolWriter

TIMEOUT = 60.0


class Settled:
    """Waits for one batch."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self.lost: Collection[str] = ()

    def __call__(self, lost: Collection[str]) -> None:
        self.lost = lost
        self._done.set()

    def wait(self) -> bool:
        assert self._done.wait(TIMEOUT)
        return not self.lost


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


@pytest.fixture
def writer(path: Path) -> Iterator[SpoolWriter]:
    writer = SpoolWriter(path, spool_settings(ships=True), RecordEncoder())
    writer.start().result(TIMEOUT)
    yield writer
    writer.stop()
    assert writer.join(TIMEOUT)


def write(writer: SpoolWriter, *records: Record) -> bool:
    settled = Settled()
    size = sum(each.content_size() for each in records)
    writer.write(Batch(list(records), size, time.monotonic(), settled))
    return settled.wait()


def ids(path: Path) -> list[str]:
    with Archive(path) as archive:
        return [each["id"] for each in archive.latest(Question(), 1000)][::-1]


def test_settled_batch_is_on_the_disk(writer: SpoolWriter, path: Path) -> None:
    assert write(writer, record(1, request=b"[]"), record(2)) is True
    assert ids(path) == [record(1).id, record(2).id]
    counts = writer.counts
    assert (counts.recorded, counts.finished, counts.finished_size) == (2, 2, 2)
    assert counts.exposure > 0


def test_empty_batch_settles_after_what_came_before(writer: SpoolWriter, path: Path) -> None:
    writer.write(Batch([record(1)], 0, time.monotonic()))
    assert write(writer) is True
    assert ids(path) == [record(1).id]


def test_record_that_cannot_be_encoded_costs_no_other(writer: SpoolWriter, path: Path) -> None:
    wrong: Any = object()
    assert write(writer, record(1), record(2, client=wrong), record(3)) is False
    assert ids(path) == [record(1).id, record(3).id]
    assert writer.counts.dropped["unencodable"] == 1
    assert write(writer, record(4)) is True


def test_progress_is_written_with_the_dead_letters(writer: SpoolWriter, path: Path) -> None:
    write(writer, record(1), record(2), record(3))
    writer.advance(Progress(2, [DeadLetter(2, "why")]))
    write(writer, record(4))
    with Archive(path) as archive:
        assert archive.counts() == {"records": 2, "unshipped": 2, "dead_letters": 1}
    assert writer.counts.dead_letters == 1


def test_everything_queued_is_written_before_the_end(path: Path) -> None:
    writer = SpoolWriter(path, spool_settings(), RecordEncoder())
    writer.start().result(TIMEOUT)
    for number in range(20):
        writer.write(Batch([record(number)], 0, time.monotonic()))
    writer.stop()
    assert writer.join(TIMEOUT)
    assert len(ids(path)) == 20


def test_spool_that_cannot_be_opened_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = SpoolWriter(tmp_path / "file" / "spool.db", spool_settings(), RecordEncoder())
    with pytest.raises(ConfigError):
        writer.start().result(TIMEOUT)
    assert writer.join(TIMEOUT)


def test_damaged_spool_is_said_and_a_new_one_begun(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b"no database " * 1000)
    writer = SpoolWriter(path, spool_settings(), RecordEncoder())
    writer.start().result(TIMEOUT)
    assert write(writer, record(1)) is True
    writer.stop()
    assert writer.join(TIMEOUT)
    assert "set aside" in caplog.text


def test_refused_batch_is_counted_and_settled_so(tmp_path: Path) -> None:
    settings = spool_settings(size=1 << 20, when_full="drop_newest")
    writer = SpoolWriter(tmp_path / "spool.db", settings, RecordEncoder())
    writer.start().result(TIMEOUT)
    body = b'"' + b"x" * 100_000 + b'"'
    answers = [write(writer, record(number, request=body)) for number in range(12)]
    assert answers[0] is True
    assert answers[-1] is False
    assert writer.counts.dropped["spool_full"] == answers.count(False)
    assert write(writer, record(99, request=b'"' + b"x" * 300_000 + b'"')) is False
    assert writer.counts.dropped["too_large"] == 1
    writer.stop()
    assert writer.join(TIMEOUT)


def test_old_records_are_removed_at_the_start(path: Path) -> None:
    writer = SpoolWriter(path, spool_settings(ships=True), RecordEncoder())
    writer.start().result(TIMEOUT)
    write(writer, record(1, started=1.0), record(2))
    writer.stop()
    assert writer.join(TIMEOUT)
    again = SpoolWriter(path, spool_settings(ships=True), RecordEncoder())
    again.start().result(TIMEOUT)
    write(again)
    again.stop()
    assert again.join(TIMEOUT)
    assert again.counts.dropped["expired"] + writer.counts.dropped["expired"] == 1
    assert ids(path) == [record(2).id]


def test_writer_that_fails_says_so(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def encode(_: Record) -> Row:
        raise SystemError

    class Wrong(list[Record]):
        def __iter__(self) -> Iterator[Record]:
            raise SystemError

    writer = SpoolWriter(path, spool_settings(), encode)
    writer.start().result(TIMEOUT)
    writer.write(Batch(Wrong(), 0, time.monotonic()))
    assert writer.join(TIMEOUT)
    assert "nothing is recorded any more" in writer.counts.problem
    assert "the writer of the spool failed" in caplog.text
