"""The shipper's thread with a destination that is a list: order, watermark, pauses, the end."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.recording import spool_settings

from mcp_gateway.recording.destination import (
    Credential,
    Misconfigured,
    Rejected,
    TooLarge,
    Unavailable,
    Undelivered,
)
from mcp_gateway.recording.shipper import Shipper, ShipperSettings
from mcp_gateway.recording.spool import Row, Spool
from mcp_gateway.recording.stats import ShipperStats
from mcp_gateway.recording.writer import Progress

TIMEOUT = 60.0


class Remote:
    """Where records go: remembers calls, and fails as it is told."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.keys: list[Credential] = []
        self.closed = 0
        self.error: Callable[[Sequence[str]], Exception | None] = lambda bodies: None
        self._lock = threading.Lock()

    def send(self, bodies: Sequence[str]) -> None:
        error = self.error(bodies)
        if error is not None:
            raise error
        with self._lock:
            self.calls.append(list(bodies))

    def credential_changed(self, credential: Credential) -> None:
        self.keys.append(credential)

    def close(self) -> None:
        self.closed += 1

    @property
    def bodies(self) -> list[str]:
        return [body for call in self.calls for body in call]


class Log:
    """Progress as it was written down."""

    def __init__(self) -> None:
        self.entries: list[Progress] = []
        self.fails: Exception | None = None

    def advance(self, progress: Progress) -> None:
        fails, self.fails = self.fails, None
        if fails is not None:
            raise fails
        self.entries.append(progress)

    @property
    def watermark(self) -> int:
        return self.entries[-1].watermark if self.entries else 0


class Scene:
    """A spool, a shipper and where it ships to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spool = Spool(path, spool_settings(ships=True, keep_shipped=True))
        self.remote = Remote()
        self.log = Log()
        self.shipper = Shipper(
            ShipperSettings(batch=10, concurrency=3, interval=0.01, max_backoff=0.02),
            lambda: self.remote,
        )

    def put(self, *numbers: int, size: int = 0) -> None:
        rows = [Row(str(number), 1000.0, str(number).ljust(size)) for number in numbers]
        self.spool.write(rows, now=0.0)

    def start(self, watermark: int = 0) -> None:
        self.shipper.start(self.path, self.log, watermark=watermark, newest=self._newest)

    def _newest(self) -> int:
        return 100

    @property
    def stats(self) -> ShipperStats:
        return self.shipper.stats()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            assert time.monotonic() < deadline, (self.stats, self.remote.calls)
            time.sleep(0.002)

    def end(self) -> None:
        self.shipper.drain(time.monotonic() + TIMEOUT)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "spool.db")
    yield scene
    scene.remote.error = lambda bodies: None
    scene.end()
    scene.spool.close()


def test_records_go_oldest_first_and_move_the_watermark(scene: Scene) -> None:
    scene.put(*range(1, 26))
    scene.start()
    scene.until(lambda: scene.log.watermark == 25)
    assert scene.remote.calls[0] == []  # the check
    assert sorted(map(int, scene.remote.bodies)) == list(range(1, 26))
    assert (scene.stats.shipped, scene.stats.waiting) == (25, 75)


def test_records_before_the_watermark_are_left_alone(scene: Scene) -> None:
    scene.put(1, 2, 3)
    scene.start(watermark=2)
    scene.until(lambda: scene.log.watermark == 3)
    assert scene.remote.bodies == ["3"]


def test_later_records_are_found(scene: Scene) -> None:
    scene.start()
    scene.put(1)
    scene.until(lambda: scene.log.watermark == 1)
    scene.put(2)
    scene.until(lambda: scene.log.watermark == 2)
    scene.until(lambda: scene.stats.lag == 0.0)


def test_watermark_never_passes_a_batch_that_did_not_arrive(scene: Scene) -> None:
    scene.remote.error = lambda bodies: Unavailable("away") if "15" in bodies else None
    scene.put(*range(1, 31))
    scene.start()
    scene.until(lambda: scene.stats.failures > 3)
    assert scene.log.watermark == 10
    assert "away" in scene.stats.problem
    assert scene.stats.lag > 1e6
    scene.remote.error = lambda bodies: None
    scene.until(lambda: scene.log.watermark == 30)
    scene.until(lambda: scene.stats.problem == "")
    assert set(map(int, scene.remote.bodies)) == set(range(1, 31))


def test_rejected_record_is_written_down_with_the_watermark(scene: Scene) -> None:
    scene.remote.error = lambda bodies: Rejected("bad", code="22P02") if "3" in bodies else None
    scene.put(*range(1, 6))
    scene.start()
    scene.until(lambda: scene.log.watermark == 5)
    (entry,) = scene.log.entries
    assert [(letter.seq, letter.reason) for letter in entry.dead] == [(3, "22P02: bad")]
    assert (scene.stats.shipped, scene.stats.dead_lettered) == (4, 1)


def test_refusal_without_a_reason_condemns_nobody_while_nothing_else_passes(scene: Scene) -> None:
    scene.remote.error = lambda bodies: Unavailable("blocked", answered=True) if bodies else None
    scene.put(*range(1, 40))
    scene.start()
    scene.until(lambda: scene.stats.failures > 12)
    assert scene.log.entries == []


def test_refusal_without_a_reason_is_searched_for_once_others_pass(scene: Scene) -> None:
    scene.remote.error = lambda bodies: (
        Unavailable("blocked", answered=True, code="403") if "2" in bodies else None
    )
    scene.put(*range(1, 40))
    scene.start()
    scene.until(lambda: scene.log.watermark == 39)
    dead = [letter for entry in scene.log.entries for letter in entry.dead]
    assert [(letter.seq, letter.reason) for letter in dead] == [(2, "403: blocked")]


def test_batches_shrink_where_they_are_too_large(scene: Scene) -> None:
    scene.remote.error = lambda bodies: (
        TooLarge("too large") if sum(map(len, bodies)) > 50_000 else None
    )
    scene.put(*range(1, 31), size=20_000)
    scene.start()
    scene.until(lambda: scene.log.watermark == 30)
    assert not any(entry.dead for entry in scene.log.entries)
    assert max(len(call) for call in scene.remote.calls) == 2


def test_batches_shrink_where_the_destination_is_slow(scene: Scene) -> None:
    scene.remote.error = lambda bodies: (
        Unavailable("timeout", slow=True) if sum(map(len, bodies)) > 50_000 else None
    )
    scene.put(*range(1, 11), size=20_000)
    scene.start()
    scene.until(lambda: scene.log.watermark == 10)


def test_trouble_is_said_once_with_its_remedy(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.remote.error = lambda bodies: Misconfigured("no table", remedy="create table")
    scene.start()
    scene.until(lambda: scene.stats.failures > 5)
    warnings = [entry for entry in caplog.records if entry.levelname == "WARNING"]
    assert [vars(entry)["fields"] for entry in warnings] == [
        {"why": "no table", "remedy": "create table"}
    ]


def test_pause_that_the_destination_asks_for_is_bounded(scene: Scene) -> None:
    scene.remote.error = lambda bodies: Unavailable("busy", retry_after=3600.0)
    scene.start()
    scene.until(lambda: scene.stats.failures > 2)


def test_new_key_is_used_at_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "spool.db")
    scene.shipper = Shipper(
        ShipperSettings(batch=10, concurrency=1, interval=3600.0, max_backoff=3600.0),
        lambda: scene.remote,
    )
    scene.remote.error = lambda bodies: None if scene.remote.keys else Misconfigured("old key")
    scene.put(1)
    scene.start()
    scene.until(lambda: scene.stats.failures == 1)
    new = Credential("new", "publishable")
    scene.shipper.credential_changed(new)
    scene.until(lambda: scene.log.watermark == 1)
    assert scene.remote.keys == [new]
    scene.end()
    scene.spool.close()


def test_new_key_is_used_again_after_a_failure_that_nobody_thought_of(scene: Scene) -> None:
    # Each destination is made with the key of the start, and knows another only if it is told.
    remotes: list[Remote] = []

    def connect() -> Remote:
        remotes.append(Remote())
        return remotes[-1]

    scene.shipper = Shipper(
        ShipperSettings(batch=10, concurrency=1, interval=0.01, max_backoff=0.02), connect
    )
    scene.put(1)
    scene.start()
    scene.until(lambda: scene.log.watermark == 1)
    new = Credential("new")
    scene.shipper.credential_changed(new)
    scene.put(2)
    scene.until(lambda: scene.log.watermark == 2)
    assert remotes[0].keys == [new]
    scene.log.fails = RuntimeError("out of the blue")
    scene.put(3)
    scene.until(lambda: len(remotes) == 2)
    scene.put(4)
    scene.until(lambda: scene.log.watermark == 4)
    assert remotes[1].keys == [new]


def test_surprise_does_not_end_the_shipping(scene: Scene) -> None:
    surprises = [RuntimeError("in the check"), None, RuntimeError("in a call")]
    scene.remote.error = lambda bodies: surprises.pop(0) if surprises else None
    scene.put(1)
    scene.start()
    scene.until(lambda: scene.log.watermark == 1)
    assert scene.stats.failures == 2
    assert scene.remote.closed == 1


def test_drain_ships_what_is_left_and_ends(scene: Scene) -> None:
    scene.put(*range(1, 100))
    scene.start()
    scene.end()
    assert scene.log.watermark == 99
    assert scene.remote.closed == 1


def test_drain_ships_what_came_while_a_round_was_under_way(scene: Scene) -> None:
    drain = threading.Thread(target=scene.end)

    def late(bodies: Sequence[str]) -> None:
        if "1" in bodies:
            with closing(sqlite3.connect(scene.path, isolation_level=None)) as other:
                other.execute("INSERT INTO records (id, started, body) VALUES ('2', 0, '2')")
            drain.start()
            scene.until(scene.shipper._stopping.is_set)

    scene.remote.error = late
    scene.put(1)
    scene.start()
    scene.until(lambda: scene.remote.closed == 1)
    drain.join(TIMEOUT)
    assert scene.remote.bodies == ["1", "2"]
    assert scene.log.watermark == 2


def test_drain_ends_at_its_time_while_the_destination_is_away(scene: Scene) -> None:
    scene.put(1)
    scene.remote.error = lambda bodies: Unavailable("away")
    scene.start()
    scene.shipper.drain(time.monotonic() + 0.1)
    scene.until(lambda: scene.remote.closed == 1)
    assert scene.log.entries == []


def test_every_way_to_say_no_is_an_undelivered() -> None:
    assert all(
        issubclass(kind, Undelivered) for kind in (Misconfigured, Rejected, TooLarge, Unavailable)
    )
