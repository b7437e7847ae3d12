"""The event loop's side. The loop is a real one: what it waits for happens in a thread."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from tests.support.recording import record, recorder_settings, spool_settings, until

from mcp_gateway.errors import ConfigError, Overloaded
from mcp_gateway.recording.archive import Archive, Question
from mcp_gateway.recording.destination import Credential
from mcp_gateway.recording.recorder import Recorder


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.db"


def ids(path: Path) -> list[int]:
    with Archive(path) as archive:
        return [int(each["id"], 16) for each in archive.latest(Question(), 100_000)][::-1]


class Held:
    """Another connection that holds the spool's write lock."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        self._db.execute("ROLLBACK")
        self._db.close()


async def test_put_record_is_on_the_disk_after_the_interval(path: Path) -> None:
    recorder = Recorder(recorder_settings(), path)
    await recorder.start()
    assert recorder.put(record(1))
    assert recorder.stats().queued == 1
    await until(lambda: recorder.stats().recorded == 1, "the commit")
    assert ids(path) == [1]
    await until(lambda: recorder.stats().queued == 0, "the end of the commit")
    await recorder.aclose()


async def test_full_batch_does_not_wait_for_the_interval(path: Path) -> None:
    recorder = Recorder(recorder_settings(commit_interval=3600.0, batch=10), path)
    await recorder.start()
    for number in range(10):
        recorder.put(record(number))
    await until(lambda: recorder.stats().recorded == 10, "the commit")
    await recorder.aclose()


async def test_interval_of_zero_commits_at_once(path: Path) -> None:
    recorder = Recorder(recorder_settings(commit_interval=0.0), path)
    await recorder.start()
    recorder.put(record(1))
    await until(lambda: recorder.stats().recorded == 1, "the commit")
    await recorder.aclose()


async def test_durable_put_returns_after_the_commit(path: Path) -> None:
    recorder = Recorder(recorder_settings(commit_interval=3600.0), path)
    await recorder.start()
    await recorder.put_durably(record(1))
    assert ids(path) == [1]
    await recorder.aclose()


async def test_durable_puts_of_one_moment_share_a_commit(path: Path) -> None:
    recorder = Recorder(recorder_settings(), path)
    await recorder.start()
    await asyncio.gather(*(recorder.put_durably(record(number)) for number in range(100)))
    assert len(ids(path)) == 100
    assert recorder.stats().commits <= 3
    await recorder.aclose()


async def test_a_record_that_cannot_be_stored_costs_no_other_its_answer(path: Path) -> None:
    recorder = Recorder(recorder_settings(spool=spool_settings(size=1 << 20)), path)
    await recorder.start()
    large = record(1, request=b'"' + b"x" * 300_000 + b'"')
    puts = [recorder.put_durably(each) for each in (record(0), large, record(2))]
    told = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(each) for each in told] == [type(None), Overloaded, type(None)]
    assert ids(path) == [0, 2]
    await recorder.aclose()


async def test_cancelled_durable_put_is_recorded_all_the_same(path: Path) -> None:
    recorder = Recorder(recorder_settings(), path)
    await recorder.start()
    waiting = asyncio.create_task(recorder.put_durably(record(1)), name="waiting")
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await recorder.aclose()
    assert ids(path) == [1]


async def test_full_queue_drops_and_counts(path: Path) -> None:
    recorder = Recorder(recorder_settings(queue=5), path)
    await recorder.start()
    held = Held(path)
    assert [recorder.put(record(number)) for number in range(8)] == [True] * 5 + [False] * 3
    with pytest.raises(Overloaded):
        await recorder.put_durably(record(9))
    stats = recorder.stats()
    assert (stats.queued, stats.dropped["queue_full"]) == (5, 4)
    assert "queue was full" in stats.degraded
    held.release()
    await recorder.aclose()
    assert ids(path) == [0, 1, 2, 3, 4]


async def test_queue_is_bounded_by_the_bytes_of_its_content(path: Path) -> None:
    recorder = Recorder(recorder_settings(queue_bytes=1000), path)
    await recorder.start()
    held = Held(path)
    body = b'"' + b"x" * 398 + b'"'
    assert [recorder.put(record(number, request=body)) for number in range(4)] == [
        True,
        True,
        False,
        False,
    ]
    assert recorder.put(record(5))
    held.release()
    await until(lambda: recorder.stats().queued == 0, "the commit")
    assert recorder.put(record(6, request=body))
    await recorder.aclose()
    assert ids(path) == [0, 1, 5, 6]


async def test_durable_put_gives_up_when_the_disk_takes_too_long(path: Path) -> None:
    recorder = Recorder(recorder_settings(sync_timeout=0.05), path)
    await recorder.start()
    held = Held(path)
    with pytest.raises(Overloaded, match="cannot be recorded"):
        await recorder.put_durably(record(1))
    held.release()
    await recorder.aclose()


async def test_closing_writes_what_is_pending(path: Path) -> None:
    recorder = Recorder(recorder_settings(commit_interval=3600.0), path)
    await recorder.start()
    for number in range(100):
        recorder.put(record(number))
    await recorder.aclose()
    assert ids(path) == list(range(100))
    await recorder.aclose()


async def test_record_after_the_end_is_dropped_and_counted(path: Path) -> None:
    recorder = Recorder(recorder_settings(), path)
    assert not recorder.put(record(1))
    await recorder.start()
    await recorder.aclose()
    assert not recorder.put(record(2))
    assert recorder.stats().dropped["queue_full"] == 2


async def test_spool_of_another_process_is_a_mistake_of_the_document(path: Path) -> None:
    recorder, other = Recorder(recorder_settings(), path), Recorder(recorder_settings(), path)
    await recorder.start()
    with pytest.raises(ConfigError, match="another running gateway"):
        await other.start()
    await other.aclose()
    await recorder.aclose()


async def test_key_of_a_recorder_that_ships_nothing_changes_nothing(path: Path) -> None:
    recorder = Recorder(recorder_settings(), path)
    recorder.credential_changed(Credential("new"))
    assert recorder.stats().shipper is None


async def test_each_record_of_a_batch_that_fills_at_once_is_told_of_its_commit(path: Path) -> None:
    recorder = Recorder(recorder_settings(commit_interval=3600.0, batch=1), path)
    await recorder.start()
    puts = [recorder.put_durably(record(number)) for number in range(3)]
    await asyncio.wait_for(asyncio.gather(*puts), 60.0)
    assert ids(path) == [0, 1, 2]
    await recorder.aclose()
