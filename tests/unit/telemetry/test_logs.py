import io
import json
import logging
from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest

from mcp_gateway.telemetry.logs import (
    FLUSH_LINES,
    FLUSH_SECONDS,
    LineFormatter,
    LineWriter,
    configure,
    encode_json,
    encode_text,
    reconfigure,
    timestamp,
)


def test_a_timestamp_is_rfc_3339_in_utc() -> None:
    assert timestamp(1_700_000_000.1239) == "2023-11-14T22:13:20.123Z"


async def test_a_line_is_written_soon() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    writer.add({"message": "hello"})
    assert stream.getvalue() == b""
    await anyio.sleep(2 * FLUSH_SECONDS)
    assert stream.getvalue() == b'{"message":"hello"}\n'


async def test_many_lines_are_written_together() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    for number in range(FLUSH_LINES):
        writer.add({"n": number})
    assert stream.getvalue().count(b"\n") == FLUSH_LINES


async def test_a_stream_that_is_gone_stops_nothing() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    stream.close()
    writer.add({"message": "lost"})
    writer.flush()


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("mcp_gateway", logging.WARNING, "f", 1, message, None, None)
    made.__dict__.update(extra)
    return made


def test_a_record_is_one_json_object() -> None:
    line = json.loads(LineFormatter().format(record("cut\nhere", fields={"exchange": "ab"})))
    assert line["message"] == "cut\nhere"
    assert line["level"] == "warning"
    assert line["exchange"] == "ab"


def test_text_is_one_line_whatever_a_client_sends() -> None:
    fields = {"time": "T", "level": "info", "message": "exchange", "model": "a\nlevel=error b"}
    assert encode_text(fields) == b'T INFO    exchange model="a\\nlevel=error b"'


def test_text_does_nothing_to_a_terminal() -> None:
    fields = {"time": "T", "level": "info", "message": "cut\nT \x1b[2J", "model": "\x9b2J\u202e"}
    assert encode_text(fields) == rb'T INFO    cut\nT \x1b[2J model="\x9b2J\u202e"'


@pytest.mark.parametrize("form", [encode_json, encode_text])
def test_half_a_surrogate_pair_does_not_cost_the_line(
    form: Callable[[msgspec.Struct | dict[str, Any]], bytes],
) -> None:
    fields = {"time": "T", "level": "info", "message": "m", "client": "x\ud800y"}
    for line in (fields, msgspec.defstruct("Line", list(fields))(**fields)):
        assert form(line).isascii()


async def test_the_form_of_the_lines_can_change() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)

    writer.add({"time": "now", "level": "info", "message": "one"})
    writer.use(text=True)
    writer.add({"time": "now", "level": "info", "message": "two"})
    writer.flush()

    assert stream.getvalue().splitlines() == [
        b'{"time":"now","level":"info","message":"one"}',
        b"now INFO    two",
    ]


def test_a_programs_own_logging_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    mine = logging.StreamHandler(io.StringIO())
    level = root.level
    monkeypatch.setattr(root, "handlers", [mine])
    try:
        reconfigure("error", text=True)
        assert (root.handlers, root.level) == ([mine], level)

        configure("info")
        reconfigure("error", text=True)
        assert root.level == logging.ERROR
        assert " WARNING two words " in root.handlers[0].format(record("two words"))
    finally:
        root.setLevel(level)
