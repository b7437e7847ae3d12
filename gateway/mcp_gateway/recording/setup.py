"""From the `recording` part of a document to a recorder that is ready to start."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

from mcp_gateway.api.recording import Recording, RedactRule, Supabase
from mcp_gateway.api.secret import SecretSource
from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.destination import Credential, Destination
from mcp_gateway.recording.encode import RecordEncoder
from mcp_gateway.recording.recorder import Recorder, RecorderSettings
from mcp_gateway.recording.redact import Redactor, expressions
from mcp_gateway.recording.shipper import Shipper, ShipperSettings
from mcp_gateway.recording.spool import SpoolSettings

ReadSecret = Callable[[SecretSource], str]

SPOOL_NAME = "spool.db"


def spool_path(recording: Recording, data_dir: Path) -> Path:
    """Where the spool is: as the document says, or in the data folder."""
    return Path(recording.spool.path) if recording.spool.path else data_dir / SPOOL_NAME


def build(
    recording: Recording, *, data_dir: Path, read_secret: ReadSecret, gateway: str = ""
) -> Recorder | None:
    """Make the recorder that a document describes; None where it says not to record.

    Args:
        recording: `spec.recording`.
        data_dir: folder for the spool where the document names no file.
        read_secret: gives the text of a secret.
        gateway: name of this pod or host, written into each record.

    Raises:
        ConfigError: a rule is wrong, a secret is missing, or so is the `supabase` package.
    """
    if not recording.enabled:
        return None
    spool = recording.spool
    settings = RecorderSettings(
        commit_interval=recording.commit_interval,
        batch=recording.batch,
        queue=recording.queue,
        spool=SpoolSettings(
            size=spool.size,
            max_age=spool.max_age,
            when_full=spool.when_full,
            keep_shipped=spool.keep_shipped,
            ships=recording.supabase is not None,
        ),
    )
    encoder = RecordEncoder(
        gateway=gateway,
        redact=redactor(recording.redact),
        hash_key=_hash_key() if recording.hash_clients else None,
    )
    shipper = None
    if recording.supabase is not None:
        shipper = _shipper(recording.supabase, read_secret)
    return Recorder(settings, spool_path(recording, data_dir), encoder=encoder, shipper=shipper)


def redactor(rules: list[RedactRule]) -> Redactor | None:
    """Compile the rules; None where there are none.

    Raises:
        ConfigError: one of them is wrong.
    """
    if not rules:
        return None
    return Redactor(
        paths=[(rule.path, rule.replacement) for rule in rules if rule.path is not None],
        expressions=[pair for rule in rules for pair in _expressions(rule)],
    )


def _expressions(rule: RedactRule) -> list[tuple[str, str]]:
    if rule.pattern is not None:
        return expressions(rule.pattern, rule.replacement)
    return [(rule.regex, rule.replacement)] if rule.regex is not None else []


def _hash_key() -> bytes:
    # The same for all pods and for good, or a client's records could not be counted together.
    return hashlib.sha256(b"mcp-gateway recording client").digest()


def _shipper(supabase: Supabase, read_secret: ReadSecret) -> Shipper:
    if importlib.util.find_spec("supabase") is None:
        raise ConfigError(
            "recording.supabase: the package supabase is missing:"
            " install it with: pip install 'mcp-gateway[supabase]'"
        )
    opens = credential(supabase, read_secret)
    settings = ShipperSettings(
        batch=supabase.batch,
        concurrency=supabase.concurrency,
        interval=supabase.interval,
        max_backoff=supabase.max_backoff,
    )
    return Shipper(settings, lambda: _connect(supabase, opens))


def credential(supabase: Supabase, read_secret: ReadSecret) -> Credential:
    """What opens the database now.

    Raises:
        ConfigError: a secret is missing.
    """
    key = read_secret(supabase.key).strip()
    api_key = read_secret(supabase.api_key).strip() if supabase.api_key is not None else None
    return Credential(key, api_key)


def _connect(supabase: Supabase, opens: Credential) -> Destination:
    # Here and not above: loading the client library costs 20 MiB and a second of a core.
    from mcp_gateway.recording.supabase import (  # noqa: PLC0415
        SupabaseDestination,
        SupabaseSettings,
    )

    return SupabaseDestination(
        SupabaseSettings(
            url=supabase.url,
            key=opens.key,
            api_key=opens.api_key,
            table=supabase.table,
            timeout=supabase.timeout,
        )
    )
