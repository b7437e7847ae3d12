from __future__ import annotations

import io
import os
import select
import threading
from pathlib import Path
from typing import BinaryIO

from mcp_gateway.telemetry.outlet import BACKLOG, Outlet

Pipe = tuple[BinaryIO, BinaryIO]


def outlet(stream: BinaryIO) -> Outlet:
    return Outlet(stream, lambda count: b"dropped %d" % count)


def everything(reader: BinaryIO) -> bytes:
    return b"".join(iter(lambda: reader.read(1 << 20), None))


def fill(writer: BinaryIO) -> int:
    """Leave no room; how many bytes there are then."""
    size = 0
    while select.select([], [writer], [], 0)[1]:
        size += writer.write(b"." * select.PIPE_BUF)
    return size


def test_lines_arrive_in_order(pipe: Pipe) -> None:
    reader, writer = pipe
    lines = [b"%d" % number * 300 for number in range(50)]
    outlet(writer).write(lines)
    assert everything(reader).splitlines() == lines


def test_what_has_no_room_waits(pipe: Pipe) -> None:
    reader, writer = pipe
    out = outlet(writer)
    lines = [b"%04d" % number * 25 for number in range(1000)]
    out.write(lines)
    assert out.waiting
    read = everything(reader)
    assert 0 < len(read.splitlines()) < 1000
    assert read.endswith(b"\n"), "short lines are never torn"
    out.write([b"last"])
    assert (read + everything(reader)).splitlines() == [*lines, b"last"]
    assert not out.waiting


def test_a_full_pipe_holds_up_nobody(pipe: Pipe) -> None:
    reader, writer = pipe
    size = fill(writer)
    out = outlet(writer)
    out.write([b"one", b"two"])
    assert len(everything(reader)) == size
    out.write([])
    assert everything(reader) == b"one\ntwo\n"


def test_what_is_too_much_is_dropped_and_counted(pipe: Pipe) -> None:
    reader, writer = pipe
    size = fill(writer)
    out = outlet(writer)
    out.write([b"x" * (BACKLOG // 2)] * 3)
    out.write([b"y"])
    read = everything(reader)
    for _ in range(100):
        out.write([])
        read += everything(reader)
    assert read[size:].splitlines() == [b"x" * (BACKLOG // 2)] * 2 + [b"dropped 2"]
    out.write([b"z"])
    assert everything(reader) == b"z\n"


def test_a_line_longer_than_the_pipe_goes_out_in_parts(pipe: Pipe) -> None:
    reader, writer = pipe
    out = outlet(writer)
    long = b"x" * (3 * BACKLOG)
    out.write([long, b"next"])
    read = everything(reader)
    while out.waiting:
        out.write([])
        read += everything(reader)
    assert read.splitlines() == [long, b"next"]


def test_the_last_lines_wait_for_their_reader_a_moment(pipe: Pipe) -> None:
    reader, writer = pipe
    out = outlet(writer)
    lines = [b"%04d" % number * 25 for number in range(1000)]
    out.write(lines)
    read: list[bytes] = []
    reading = threading.Timer(0.05, lambda: read.extend(everything(reader).splitlines()))
    reading.start()
    out.finish(10.0)
    reading.join()
    assert [*read, *everything(reader).splitlines()] == lines
    fill(writer)
    out.write([b"nobody reads this"])
    out.finish(0.01)
    assert out.waiting
    reader.close()
    out.finish(5.0)
    assert not out.waiting


def test_a_reader_that_is_gone_is_not_written_to(pipe: Pipe) -> None:
    reader, writer = pipe
    out = outlet(writer)
    reader.close()
    out.write([b"one"])
    writer.close()
    out.write([b"two"])
    assert not out.waiting


def test_what_is_no_pipe_takes_everything(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    outlet(buffer).write([b"a", b"b"])
    assert buffer.getvalue() == b"a\nb\n"
    with open(tmp_path / "log", "wb") as file:
        outlet(file).write([b"x" * 100_000] * 10)
    assert os.stat(tmp_path / "log").st_size == 10 * 100_001
