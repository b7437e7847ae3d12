"""The reading side of a spool, for people and programs: what is in it, by their questions.

Reads beside a running gateway without getting in its way. Only `replay` and `discard` write,
each in one short transaction.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.spool_file import APPLICATION_ID


def _decode(body: str) -> dict[str, Any]:
    """A record's fields; a number that no float holds stays text."""
    record: dict[str, Any] = json.loads(body, parse_float=_number)
    return record


def _number(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which records are asked for; what is None asks for all.

    Attributes:
        since, until: epoch seconds; records that began at or after, and before.
        provider, model, client, route: the exact value.
        error: True for failures, False for successes, or the error's class name.
        unshipped: only what still waits to be shipped.
    """

    since: float | None = None
    until: float | None = None
    provider: str | None = None
    model: str | None = None
    client: str | None = None
    route: str | None = None
    error: bool | str | None = None
    unshipped: bool = False

    def _conditions(self) -> tuple[list[str], list[object]]:
        conditions: list[str] = []
        values: list[object] = []
        for condition, value in (("started >= ?", self.since), ("started < ?", self.until)):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        for name in ("provider", "model", "client", "route"):
            value = getattr(self, name)
            if value is not None:
                conditions.append(f"coalesce(body ->> '{name}', '') = ?")
                values.append(value)
        if isinstance(self.error, bool):
            conditions.append("(body ->> 'error') IS " + ("NOT NULL" if self.error else "NULL"))
        elif self.error is not None:
            conditions.append("body ->> 'error' = ?")
            values.append(self.error)
        if self.unshipped:
            conditions.append("seq > (SELECT value FROM state WHERE name = 'watermark')")
        return conditions, values

    def where(self) -> tuple[str, list[object]]:
        """The question as SQL: a WHERE clause and its values."""
        conditions, values = self._conditions()
        return (f" WHERE {' AND '.join(conditions)}" if conditions else ""), values


@dataclass(frozen=True, slots=True)
class DeadRecord:
    """A record that the destination rejected.

    Attributes:
        seq: its number; what `replay` and `discard` take.
        record: its fields.
        reason: what the destination said.
        died: epoch seconds when it was set aside.
    """

    seq: int
    record: Mapping[str, Any]
    reason: str
    died: float


class Archive:
    """A spool opened for reading. A context manager.

    Raises:
        ConfigError: there is no spool at this path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise ConfigError(
                f"there is no spool at {path}: name the file, or the data folder of a gateway"
            )
        self._db = self._open("ro")
        try:
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise ConfigError(f"{path} is not a spool: {error}") from error
        if application != APPLICATION_ID:
            self._db.close()
            raise ConfigError(f"{path} is not a spool of this gateway")

    def _open(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(uri, uri=True, timeout=10.0, isolation_level=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._db.close()

    def latest(self, question: Question, limit: int) -> list[dict[str, Any]]:
        """The newest records that answer a question, the newest first."""
        where, values = question.where()
        cursor = self._db.execute(
            f"SELECT body FROM records{where} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - ours
            [*values, limit],
        )
        return [_decode(body) for (body,) in cursor]

    def lines(self, question: Question) -> Iterator[str]:
        """Each record that answers a question as a line of JSON, the oldest first."""
        where, values = question.where()
        cursor = self._db.execute(
            f"SELECT body FROM records{where} ORDER BY seq",  # noqa: S608 - ours
            values,
        )
        for (body,) in cursor:
            yield body

    def find(self, prefix: str) -> list[dict[str, Any]]:
        """Records, living and dead, whose id begins so; at most ten."""
        pattern = prefix.replace("*", "[*]").replace("?", "[?]") + "*"
        cursor = self._db.execute(
            "SELECT body FROM records WHERE id GLOB ? UNION ALL"
            " SELECT body FROM dead_letters WHERE id GLOB ? LIMIT 10",
            (pattern, pattern),
        )
        return [_decode(body) for (body,) in cursor]

    def counts(self) -> dict[str, int]:
        """How many records there are, how many wait to be shipped, how many are dead letters."""
        row = self._db.execute(
            "SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM records"
            " WHERE seq > (SELECT value FROM state WHERE name = 'watermark')),"
            " (SELECT count(*) FROM dead_letters)"
        ).fetchone()
        return dict(zip(("records", "unshipped", "dead_letters"), row, strict=True))

    def dead_letters(self, limit: int = -1) -> list[DeadRecord]:
        """Records that the destination rejected, the oldest first."""
        cursor = self._db.execute(
            "SELECT seq, body, reason, died FROM dead_letters ORDER BY seq LIMIT ?", (limit,)
        )
        return [DeadRecord(seq, _decode(body), reason, died) for seq, body, reason, died in cursor]

    def replay(self, numbers: Sequence[int] | None = None) -> int:
        """Put dead letters back among the records that wait; all of them for None.

        A running gateway ships them as it ships new ones.

        Returns:
            How many there were.
        """
        return self._move(
            numbers,
            "INSERT INTO records (id, started, body)"
            " SELECT id, started, body FROM dead_letters WHERE ",
        )

    def discard(self, numbers: Sequence[int] | None = None) -> int:
        """Delete dead letters for good; all of them for None. Returns how many there were."""
        return self._move(numbers, "")

    def _move(self, numbers: Sequence[int] | None, first: str) -> int:
        which = "seq IN (SELECT value FROM json_each(?))" if numbers is not None else "1"
        values = [] if numbers is None else [json.dumps(list(numbers))]
        db = self._open("rw")
        try:
            db.execute("BEGIN IMMEDIATE")
            if first:
                db.execute(first + which, values)
            moved = db.execute(f"DELETE FROM dead_letters WHERE {which}", values).rowcount  # noqa: S608
            db.execute("COMMIT")
        finally:
            db.close()
        return moved
