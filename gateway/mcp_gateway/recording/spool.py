"""The spool: a SQLite file that holds records until they are shipped, or for good.

Invariants. Sequence numbers only grow and are never used again, so the *watermark* (every
record up to it was shipped or set aside) is one number. One thread of one process writes, and
everything it is told since its last commit goes into one transaction: records, watermark and
dead letters together. A commit is on the disk when it returns (`synchronous=FULL`), so a crash
at any instant leaves a readable file that holds everything that was committed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.spool_file import connect, lock, set_aside

# One statement for many rows: sqlite3 lets go of the interpreter lock at every step, and
# taking it back from a busy event loop can cost milliseconds. One step per 64 rows, not per row.
_CHUNK = 64
_INSERT = tuple(
    "INSERT INTO records (id, started, body) VALUES " + ",".join(["(?,?,?)"] * rows)  # noqa: S608
    for rows in range(_CHUNK + 1)
)

_PRUNE_STEP = 2000
_STEP = 200
_ROOM_LEFT = 0.9
"""Where the spool is full, the oldest records go until it is filled to this part."""

_LOG = 8 << 20
"""Bytes the write-ahead log may keep, out of the spool's size, and at most a quarter of it."""

_SPARE = 16 << 20
"""Free bytes the file may keep after a backlog was shipped; more goes back to the disk."""


class Row(NamedTuple):
    """A record on its way into the spool: its id, its start (epoch seconds), its JSON."""

    id: str
    started: float
    body: str


class Stored(NamedTuple):
    """A record in the spool."""

    seq: int
    id: str
    started: float
    body: str


class DeadLetter(NamedTuple):
    """A record that its destination rejected, by its number in the spool, and why."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSettings:
    """Bounds of a spool.

    Attributes:
        size: bytes the file may fill.
        max_age: seconds after which a record is removed, shipped or not.
        when_full: which records give way.
        keep_shipped: shipped records stay until size or age removes them.
        ships: something ships records; where nothing does, removing one loses nothing.
    """

    size: int
    max_age: float
    when_full: Literal["drop_oldest", "drop_newest"]
    keep_shipped: bool
    ships: bool


@dataclass(slots=True)
class Removed:
    """What one call removed or refused, counted.

    Attributes:
        expired, full: unshipped records lost to age and to size.
        refused: new records not taken because the spool is full and the oldest are to stay.
        too_large: records not taken because one alone would fill a quarter of the spool.
        pruned: records removed that nothing waits for any more.
        left_out: ids of the new records that were not taken, for either reason.
    """

    expired: int = 0
    full: int = 0
    refused: int = 0
    too_large: int = 0
    pruned: int = 0
    left_out: list[str] = field(default_factory=list)


class Spool:
    """The writing side. Used by one thread, which must also be the one that opened it.

    Raises:
        ConfigError: the path cannot be used: no folder, no permission, another process's.
    """

    def __init__(self, path: Path, settings: SpoolSettings) -> None:
        self.path = path
        self.settings = settings
        self.set_aside: Path | None = None
        self._wal = Path(f"{path}-wal")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = lock(path)
        except OSError as error:
            raise ConfigError(f"spool {path} cannot be used: {error.strerror}") from error
        log = min(_LOG, settings.size // 4)
        self._room = settings.size - log
        try:
            self._db = self._open()
            self._page_size: int = self._number("PRAGMA page_size")
            self._db.execute(f"PRAGMA journal_size_limit = {log}")
            self._db.execute(f"PRAGMA wal_autocheckpoint = {log // 2 // self._page_size}")
            self.watermark: int = self._number("SELECT value FROM state WHERE name = 'watermark'")
        except (sqlite3.Error, OSError) as error:
            # What was opened of it is closed with the object; the claim has to be given up.
            os.close(self._lock)
            raise ConfigError(f"spool {path} cannot be opened: {error}") from error

    def _open(self) -> sqlite3.Connection:
        try:
            return connect(self.path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # the disk's or the permissions' fault: nothing is wrong with the file
            self.set_aside = set_aside(self.path)
            return connect(self.path)

    def close(self) -> None:
        """Close the file and let another process have it. Idempotent."""
        if self._lock >= 0:
            self._db.close()
            os.close(self._lock)
            self._lock = -1

    def write(
        self,
        rows: Sequence[Row],
        *,
        now: float,
        watermark: int = 0,
        dead: Sequence[DeadLetter] = (),
    ) -> Removed:
        """Commit rows, an advanced watermark and dead letters, all or nothing.

        Args:
            rows: records to append, oldest first.
            now: epoch seconds.
            watermark: every record up to this number is done with; 0 leaves it alone.
            dead: rejected records; they move to the dead letters.

        Raises:
            sqlite3.OperationalError: the disk is full or failing; nothing was written.
        """
        removed = Removed()
        rows = self._fitting(rows, removed)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._insert(rows)
            for letter in dead:
                self._bury(letter, now)
            if watermark > self.watermark:
                self._advance(watermark, removed)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self.watermark = max(self.watermark, watermark)
        return removed

    def _fitting(self, rows: Sequence[Row], removed: Removed) -> Sequence[Row]:
        largest = self.settings.size // 4
        if sum(len(row.body) for row in rows) > largest:
            fitting = [row for row in rows if len(row.body) <= largest]
            removed.too_large = len(rows) - len(fitting)
            removed.left_out = [row.id for row in rows if len(row.body) > largest]
            rows = fitting
        if not self._over(self._room):
            return rows
        self._make_room(removed)
        if self.settings.when_full == "drop_newest" and self._over(self._room):
            removed.refused = len(rows)
            removed.left_out += [row.id for row in rows]
            return ()
        return rows

    def _insert(self, rows: Sequence[Row]) -> None:
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            values: list[object] = []
            for row in chunk:
                values += row
            self._db.execute(_INSERT[len(chunk)], values)

    def _advance(self, watermark: int, removed: Removed) -> None:
        self._db.execute("UPDATE state SET value = ? WHERE name = 'watermark'", (watermark,))
        if not self.settings.keep_shipped:
            removed.pruned += self._db.execute(
                "DELETE FROM records WHERE seq <= ?", (watermark,)
            ).rowcount

    def _bury(self, letter: DeadLetter, now: float) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO dead_letters (seq, id, started, body, reason, died)"
            " SELECT seq, id, started, body, ?, ? FROM records WHERE seq = ?",
            (letter.reason, now, letter.seq),
        )
        self._db.execute("DELETE FROM records WHERE seq = ?", (letter.seq,))

    def _make_room(self, removed: Removed) -> None:
        """Remove what is shipped, then, if they give way, the oldest, dead or waiting."""
        while self._over(self._room * _ROOM_LEFT):
            first = self._number("SELECT min(seq) FROM records")
            if self.settings.when_full == "drop_newest" and not 0 < first <= self.watermark:
                return
            dead = self._number("SELECT min(seq) FROM dead_letters")
            if dead and (first > dead or not first) and not 0 < first <= self.watermark:
                removed.full += self._db.execute(
                    "DELETE FROM dead_letters WHERE seq < ?", (dead + _STEP,)
                ).rowcount
                continue
            if not first:
                return
            last = first + _STEP - 1
            if first <= self.watermark:
                last = min(last, self.watermark)
            lost, pruned = self._delete_up_to(last)
            removed.full += lost
            removed.pruned += pruned

    def prune(self, now: float) -> Removed:
        """Remove what is shipped or too old, a bounded number of rows at a time.

        Call it again soon while it removes anything.
        """
        removed = Removed()
        self._expire(now - self.settings.max_age, removed)
        if self._over(self._room):
            self._make_room(removed)
        if self._number("PRAGMA freelist_count") * self._page_size > _SPARE:
            self._db.execute("PRAGMA incremental_vacuum(1000)").fetchall()
        return removed

    def _expire(self, horizon: float, removed: Removed) -> None:
        # Records are nearly in the order of their starts: the first that is young enough ends
        # the search, so this never scans.
        last = self._number(
            "SELECT max(seq) FROM (SELECT seq, started FROM records ORDER BY seq LIMIT ?)"
            " WHERE started < ?",
            (_PRUNE_STEP, horizon),
        )
        if last:
            lost, pruned = self._delete_up_to(last, "AND started < ?", horizon)
            removed.expired += lost
            removed.pruned += pruned
        removed.expired += self._db.execute(
            "DELETE FROM dead_letters WHERE died < ?", (horizon,)
        ).rowcount

    def _delete_up_to(self, last: int, condition: str = "", *values: float) -> tuple[int, int]:
        """Delete records up to a number; how many were lost, how many nobody waited for."""
        shipped = self.watermark if self.settings.ships else last
        statement = f"DELETE FROM records WHERE seq > ? AND seq <= ? {condition}"  # noqa: S608 - ours
        done = self._db.execute(statement, (0, min(last, shipped), *values)).rowcount
        lost = self._db.execute(statement, (shipped, last, *values)).rowcount
        return lost, done

    def _over(self, size: float) -> bool:
        """Records fill more than `size` bytes; free pages do not count."""
        pages = self._number("PRAGMA page_count") - self._number("PRAGMA freelist_count")
        return pages * self._page_size > size

    def size(self) -> int:
        """Bytes on the disk, the write-ahead log included."""
        return sum(file.stat().st_size for file in (self.path, self._wal) if file.exists())

    def last(self) -> int:
        """Number of the record that came last, whether or not it is still there."""
        return self._number("SELECT seq FROM sqlite_sequence WHERE name = 'records'")

    def dead_letters(self) -> int:
        """How many dead letters there are; counted to ten thousand and no further."""
        return self._number("SELECT count(*) FROM (SELECT 1 FROM dead_letters LIMIT 10000)")

    def _number(self, statement: str, values: Sequence[float] = ()) -> int:
        row = self._db.execute(statement, values).fetchone()
        return (row and row[0]) or 0


class SpoolReader:
    """The shipping side: reads what is committed, in one thread, and never waits for writers."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)

    def after(self, seq: int, *, limit: int, size: int) -> list[Stored]:
        """Records beyond `seq`, oldest first: at most `limit`, at least one, about `size` bytes."""
        cursor = self._db.execute(
            "SELECT seq, id, started, body FROM records WHERE seq > ? ORDER BY seq LIMIT ?",
            (seq, limit),
        )
        found: list[Stored] = []
        for row in cursor:
            size -= len(row[3])
            if found and size < 0:
                break
            found.append(Stored._make(row))
        cursor.close()
        return found

    def newest(self) -> Stored | None:
        """The record that came last."""
        row = self._db.execute(
            "SELECT seq, id, started, body FROM records ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        return None if row is None else Stored._make(row)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()
