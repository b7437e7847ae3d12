"""The recording as documents want it: one recorder at a time, changed without losing a record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mcp_gateway.api import Recording as RecordingSpec
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.errors import Overloaded
from mcp_gateway.recording.destination import Credential
from mcp_gateway.recording.record import Record
from mcp_gateway.recording.recorder import Recorder
from mcp_gateway.recording.setup import build, credential, spool_path
from mcp_gateway.recording.stats import DropReason, RecorderStats

CHANGE = 0.5
"""Seconds one recorder gets to write and ship before another takes its place."""
MAX_HELD = 10_000
"""Records held back meanwhile; further ones are dropped."""


class Recording:
    """Takes records for whatever recorder is in force.

    A spool has one writer, so a changed document closes one recorder before it opens the next;
    records that come in between are held back and put into the new one. What the closed one had
    not shipped yet is shipped by the next, which goes on at the spool's watermark.

    Args:
        secrets: reads the database's key.
        gateway: name written into each record.
        data_dir: gives the folder of the spool where the document names no file.
    """

    def __init__(self, secrets: SecretReader, gateway: str, data_dir: Callable[[], Path]) -> None:
        self._secrets = secrets
        self._gateway = gateway
        self._data_dir = data_dir
        self._spec: RecordingSpec | None = None
        self._recorder: Recorder | None = None
        self._held: list[Record] | None = None
        self._changed = asyncio.Event()
        self._changed.set()
        self._credential: Credential | None = None
        self._lost = 0

    @property
    def spool_path(self) -> Path | None:
        """The file records go to; None where nothing is recorded."""
        if self._spec is None or not self._spec.enabled:
            return None
        return spool_path(self._spec, self._data_dir())

    def put(self, record: Record) -> bool:
        """Take a record. Never waits, never raises; False where it was dropped, and counted."""
        if self._recorder is not None:
            return self._recorder.put(record)
        if self._held is None or len(self._held) >= MAX_HELD:
            self._lost += 1
            return False
        self._held.append(record)
        return True

    async def put_durably(self, record: Record) -> None:
        """Take a record and return when it is on the disk.

        Raises:
            Overloaded: it could not be stored in time; what it records must not be answered.
        """
        await self._changed.wait()
        if self._recorder is not None:
            await self._recorder.put_durably(record)
        elif self._spec is None or self._spec.enabled:
            raise Overloaded("the interaction cannot be recorded: there is no spool")

    def check(self, spec: RecordingSpec) -> None:
        """Find out what would keep `spec` from coming into force.

        Raises:
            ConfigError: the database's key cannot be read, or a rule of redaction is wrong.
        """
        self._build(spec)

    async def apply(self, spec: RecordingSpec) -> None:
        """Bring `spec`, which was checked, into force.

        Raises:
            ConfigError: the spool cannot be used; what was in force before is so again.
        """
        if spec == self._spec:
            self._follow_credential(spec)
            return
        before, self._spec = self._spec, None
        previous, self._recorder = self._recorder, None
        self._held = [] if spec.enabled else None
        self._changed.clear()
        try:
            if previous is not None:
                await previous.aclose(CHANGE)
            await self._open(spec)
        except BaseException:
            if before is not None:
                await self._open(before)
            raise
        finally:
            self._held = None
            self._changed.set()

    def stats(self) -> RecorderStats | None:
        """The state now; None where nothing is recorded."""
        if self._recorder is None:
            return None
        stats = self._recorder.stats()
        if not self._lost:
            return stats
        queue_full = stats.dropped[DropReason.QUEUE_FULL] + self._lost
        return replace(stats, dropped={**stats.dropped, DropReason.QUEUE_FULL: queue_full})

    async def aclose(self, grace: float) -> None:
        """Write what is pending, ship what can be shipped within `grace` seconds, and end."""
        if self._recorder is not None:
            await self._recorder.aclose(grace)
            self._recorder = None

    async def _open(self, spec: RecordingSpec) -> None:
        recorder = self._build(spec)
        if recorder is not None:
            self._credential = self._read_credential(spec)
            await recorder.start()
            for record in self._held or ():
                recorder.put(record)
        self._spec, self._recorder = spec, recorder

    def _follow_credential(self, spec: RecordingSpec) -> None:
        found = self._read_credential(spec)
        if found is not None and found != self._credential and self._recorder is not None:
            self._credential = found
            self._recorder.credential_changed(found)

    def _read_credential(self, spec: RecordingSpec) -> Credential | None:
        return credential(spec.supabase, self._secrets.read) if spec.supabase is not None else None

    def _build(self, spec: RecordingSpec) -> Recorder | None:
        return build(
            spec,
            data_dir=self._data_dir(),
            read_secret=self._secrets.read,
            gateway=self._gateway,
        )
