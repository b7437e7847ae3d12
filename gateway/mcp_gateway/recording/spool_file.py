"""The spool's file: its tables, who may have it, and what becomes of a damaged one."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from mcp_gateway.errors import ConfigError

APPLICATION_ID = 0x6D677770  # "mgwp": tells a spool from any other SQLite file
SCHEMA_VERSION = 1

LOOKED_THROUGH = 2 << 30
"""Bytes of a file up to which all of it is looked at when it is opened, at about 1 ms a MiB. A
larger one would keep a gateway from starting for too long."""

_SCHEMA = """
CREATE TABLE records (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    started REAL NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE dead_letters (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    started REAL NOT NULL,
    body TEXT NOT NULL,
    reason TEXT NOT NULL,
    died REAL NOT NULL
);
CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO state VALUES ('watermark', 0);
CREATE VIEW interactions AS SELECT
    seq, id, datetime(started, 'unixepoch') AS started, body ->> 'client' AS client,
    body ->> 'route' AS route, body ->> 'provider' AS provider, body ->> 'model' AS model,
    body ->> 'status' AS status, body ->> 'error' AS error, body ->> 'total_ms' AS total_ms,
    body ->> 'prompt_tokens' AS prompt_tokens,
    body ->> 'completion_tokens' AS completion_tokens, body
FROM records;
"""


def lock(path: Path) -> int:
    """Claim the spool for this process; the claim ends with it, however it ends.

    Returns:
        A file descriptor; closing it gives the claim up.

    Raises:
        ConfigError: another process has it.
        OSError: the file beside the spool cannot be made.
    """
    claim = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(claim)
        raise ConfigError(
            f"spool {path} belongs to another running gateway: end that one, or give each a data"
            " folder of its own"
        ) from None
    return claim


def connect(path: Path) -> sqlite3.Connection:
    """Open the spool at a path for writing; a new one where there is none.

    Raises:
        sqlite3.OperationalError: it cannot be opened, or is something else.
        sqlite3.DatabaseError: the file is damaged, or no database at all.
    """
    created = not path.exists()
    if created:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))  # prompts are nobody else's
    db = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    try:
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    # Before the first page is written: pages freed by pruning can later leave the file.
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA temp_store = MEMORY")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:
        db.executescript(
            f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
            f" PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
        return
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID or version != SCHEMA_VERSION:
        raise sqlite3.OperationalError("it is not a spool of this version of the gateway")
    # A torn file shows here, where it can still be set aside. Later it would stop the shipping
    # and the pruning at the first torn page, in every life of the process anew.
    db.execute("SELECT max(seq) FROM records").fetchone()
    db.execute("SELECT max(seq) FROM dead_letters").fetchone()
    db.execute("SELECT * FROM state").fetchall()
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (page_size,) = db.execute("PRAGMA page_size").fetchone()
    if pages * page_size <= LOOKED_THROUGH:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)


def set_aside(path: Path) -> Path:
    """Move a damaged file out of the way, and say where; what is in it may still be saved."""
    number = 0
    while (aside := Path(f"{path}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        log = Path(f"{path}{suffix}")
        if log.exists():
            log.rename(f"{aside}{suffix}")
    return aside
