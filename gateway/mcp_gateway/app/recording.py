"""The recording as documents want it: one recorder at a time, changed without losing a record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mcp_gateway.api import Recording as RecordingSpec
from mcp_gateway.api import Supabase
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.recording.destination import Destination
from mcp_gateway.recording.encode import RecordEncoder
from mcp_gateway.recording.record import Record
from mcp_gateway.recording.recorder import Recorder, RecorderSettings
from mcp_gateway.recording.redact import Redactor
from mcp_gateway.recording.shipper import Shipper, ShipperSettings
from mcp_gateway.recording.spool import SpoolSettings
from mcp_gateway.recording.stats import RecorderStats

CLIENT_HASH_KEY = b"mcp-gateway client names"
"""A constant: the same client has the same hash in every pod and after every restart."""


class Recording:
    """Takes records for whatever recorder is in force.

    A spool has one writer, so a changed document closes one recorder before it opens the next;
    records that come in between are held back and put into the new one.

    Args:
        secrets: reads the database's key.
        gateway: name written into each record.
        spool_path: gives the spool's file where the document names none.
    """

    def __init__(self, secrets: SecretReader, gateway: str, spool_path: Callable[[], Path]) -> None:
        self._secrets = secrets
        self._gateway = gateway
        self._default_path = spool_path
        self._spec: RecordingSpec | None = None
        self._recorder: Recorder | None = None
        self._held: list[Record] | None = None
        self._key: str | None = None

    @property
    def spool_path(self) -> Path | None:
        """The file records go to; None where nothing is recorded."""
        if self._spec is None or not self._spec.enabled:
            return None
        return Path(self._spec.spool.path) if self._spec.spool.path else self._default_path()

    def put(self, record: Record) -> bool:
        """Take a record. Never waits, never raises; False where it was dropped, and counted."""
        if self._recorder is not None:
            return self._recorder.put(record)
        if self._held is None:
            return False
        self._held.append(record)
        return True

    async def put_durably(self, record: Record) -> None:
        """Take a record and return when it is on the disk.

        Raises:
            Overloaded: it could not be stored in time; what it records must not be answered.
        """
        if self._recorder is not None:
            await self._recorder.put_durably(record)
        else:
            self.put(record)

    def check(self, spec: RecordingSpec) -> None:
        """Find out what would keep `spec` from coming into force.

        Raises:
            ConfigError: the database's key cannot be read, or a rule of redaction is wrong.
        """
        self._build(spec)

    async def apply(self, spec: RecordingSpec, grace: float) -> None:
        """Bring `spec`, which was checked, into force.

        Raises:
            ConfigError: the spool cannot be used.
        """
        if spec == self._spec:
            self._follow_key(spec)
            return
        previous, self._recorder = self._recorder, None
        self._held = [] if spec.enabled else None
        if previous is not None:
            await previous.aclose(grace)
        self._spec = spec
        if not spec.enabled:
            return
        recorder = self._build(spec)
        await recorder.start()
        held, self._held = self._held or [], None
        self._recorder = recorder
        for record in held:
            recorder.put(record)

    def stats(self) -> RecorderStats | None:
        """The state now; None where nothing is recorded."""
        return self._recorder.stats() if self._recorder is not None else None

    async def aclose(self, grace: float) -> None:
        """Write what is pending, ship what can be shipped within `grace` seconds, and end."""
        if self._recorder is not None:
            await self._recorder.aclose(grace)
            self._recorder = None

    def _follow_key(self, spec: RecordingSpec) -> None:
        if spec.supabase is None or self._recorder is None:
            return
        key = self._secrets.read(spec.supabase.key)
        if key != self._key:
            self._key = key
            self._recorder.credential_changed(key)

    def _build(self, spec: RecordingSpec) -> Recorder:
        redactor = Redactor(
            paths=[(rule.path, rule.replacement) for rule in spec.redact if rule.path],
            expressions=[(rule.regex, rule.replacement) for rule in spec.redact if rule.regex],
        )
        encoder = RecordEncoder(
            gateway=self._gateway,
            redact=redactor if spec.redact else None,
            hash_key=CLIENT_HASH_KEY if spec.hash_clients else None,
        )
        settings = RecorderSettings(
            commit_interval=spec.commit_interval,
            batch=spec.batch,
            queue=spec.queue,
            spool=SpoolSettings(
                size=spec.spool.size,
                max_age=spec.spool.max_age,
                when_full=spec.spool.when_full,
                keep_shipped=spec.spool.keep_shipped,
                ships=spec.supabase is not None,
            ),
        )
        path = Path(spec.spool.path) if spec.spool.path else self._default_path()
        shipper = self._shipper(spec.supabase) if spec.supabase is not None else None
        return Recorder(settings, path, encoder=encoder, shipper=shipper)

    def _shipper(self, spec: Supabase) -> Shipper:
        key = self._key = self._secrets.read(spec.key)

        def connect() -> Destination:
            # Loading the client library takes 20 MiB and a second: only where it is
            # configured, and in the shipper's thread.
            from mcp_gateway.recording.supabase import (  # noqa: PLC0415
                SupabaseDestination,
                SupabaseSettings,
            )

            return SupabaseDestination(
                SupabaseSettings(url=spec.url, key=key, table=spec.table, timeout=spec.timeout)
            )

        settings = ShipperSettings(
            batch=spec.batch,
            concurrency=spec.concurrency,
            interval=spec.interval,
            max_backoff=spec.max_backoff,
        )
        return Shipper(settings, connect)
