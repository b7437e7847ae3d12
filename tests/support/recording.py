"""Records, and recorders with settings that tests can name one by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcp_gateway.recording.destination import Destination
from mcp_gateway.recording.encode import RecordEncoder
from mcp_gateway.recording.record import Record
from mcp_gateway.recording.recorder import Recorder, RecorderSettings
from mcp_gateway.recording.shipper import Shipper, ShipperSettings
from mcp_gateway.recording.spool import SpoolSettings

WEEK = 7 * 86_400.0


def spool_settings(**changes: Any) -> SpoolSettings:
    """The defaults of a document, with changes."""
    settings: dict[str, Any] = {
        "size": 1 << 30,
        "max_age": WEEK,
        "when_full": "drop_oldest",
        "keep_shipped": False,
        "ships": False,
    }
    return SpoolSettings(**(settings | changes))


def recorder_settings(*, spool: SpoolSettings | None = None, **changes: Any) -> RecorderSettings:
    """The defaults of a document, with changes."""
    settings: dict[str, Any] = {"commit_interval": 0.05, "batch": 256, "queue": 10_000}
    return RecorderSettings(spool=spool or spool_settings(), **(settings | changes))


def shipping_recorder(
    path: Path,
    connect: Callable[[], Destination],
    *,
    batch: int = 500,
    concurrency: int = 2,
    max_backoff: float = 0.5,
    **spool: Any,
) -> Recorder:
    """A recorder that ships, and loses no time between its tries."""
    shipper = Shipper(
        ShipperSettings(
            batch=batch, concurrency=concurrency, interval=0.05, max_backoff=max_backoff
        ),
        connect,
    )
    settings = recorder_settings(spool=spool_settings(ships=True, **spool))
    return Recorder(settings, path, encoder=RecordEncoder(gateway="test"), shipper=shipper)


def record(number: int, **changes: Any) -> Record:
    """A record of an ordinary exchange; `number` makes its id."""
    fields: dict[str, Any] = {
        "id": f"{number:032x}",
        "started": time.time(),
        "face": "http",
        "method": "tools/call",
        "tool": "chat",
        "request_id": str(number),
        "client": "alice",
        "route": "kimi",
        "provider": "kimi",
        "asked_model": "kimi-k2",
        "model": "kimi-k2-0905-preview",
        "status": 200,
        "attempts": 1,
        "queue_ms": 0.12,
        "upstream_ms": 812.5,
        "total_ms": 812.9,
        "prompt_tokens": 120,
        "completion_tokens": 48,
        "finish_reason": "stop",
    }
    return Record(**(fields | changes))


async def until(condition: Callable[[], bool], what: str, within: float = 60.0) -> None:
    """Return when a condition holds.

    Raises:
        AssertionError: it did not within `within` seconds.
    """
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {within} s"
        await asyncio.sleep(0.02)
