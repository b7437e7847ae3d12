import io
import json
import logging
from collections.abc import Callable
from typing import Any, BinaryIO

import anyio
import msgspec
import pytest

from mcp_gateway.telemetry.logs import (
    DROPPED,
    FLUSH_LINES,
    FLUSH_SECONDS,
    LineFormatter,
    LineHandler,
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


async def test_lines_wait_for_a_reader_who_is_behind(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, stream = pipe
    writer = LineWriter(stream)
    for number in range(5000):
        writer.add({"n": number, "more": "." * 80})
    found = b""
    for _ in range(10):
        await anyio.sleep(2 * FLUSH_SECONDS)
        found += reader.read(1 << 20) or b""
    assert [json.loads(line)["n"] for line in found.splitlines()] == list(range(5000))


async def test_lines_that_nobody_reads_are_dropped_in_the_end_and_counted(
    pipe: tuple[BinaryIO, BinaryIO],
) -> None:
    reader, stream = pipe
    writer = LineWriter(stream, text=True)
    for number in range(200):
        writer.add({"time": "T", "level": "info", "message": f"{number:09999}"})
    found = b""
    for _ in range(40):
        await anyio.sleep(2 * FLUSH_SECONDS)
        found += reader.read(1 << 20) or b""
    *lines, told = found.splitlines()
    assert 100 < len(lines) < 200
    assert told.endswith(b"count=%d" % (200 - len(lines)))


def test_a_record_that_nobody_reads_holds_up_nothing(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reader, stream = pipe
    handler = LineHandler(stream)
    handler.setFormatter(LineFormatter())
    for _ in range(20_000):
        handler.handle(record("x" * 100))
    data = b""
    for _ in range(40):
        data += reader.read(1 << 20)
        handler.handle(record("again"))
    found = [json.loads(line) for line in data.splitlines()]
    assert len(found) < 20_000
    (told,) = [line for line in found if "count" in line]
    assert (told["level"], told["message"]) == ("warning", DROPPED)
    assert told["count"] == 20_000 - sum(line["message"].startswith("x") for line in found)


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
