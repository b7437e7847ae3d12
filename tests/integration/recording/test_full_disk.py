"""A disk that takes no more: requests never notice, and what fits in memory is not lost."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from tests.support.recording import record, recorder_settings, spool_settings, until

from mcp_gateway.errors import Overloaded
from mcp_gateway.recording.archive import Archive
from mcp_gateway.recording.recorder import Recorder

pytestmark = pytest.mark.integration


class Disk(Protocol):
    """A place for a spool that can be made to take no more."""

    folder: Path

    def fill(self) -> None: ...

    def free(self) -> None: ...


class SmallDisk:
    """A file system of four MiB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        with (self.folder / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def free(self) -> None:
        (self.folder / "filler").unlink()


class Quota:
    """A limit on the size of this process's files, which needs no rights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, self._before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


@contextmanager
def mounted(folder: Path) -> Iterator[SmallDisk]:
    words = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a file system")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: nothing of a failed test can hold it.
        ctypes.CDLL(None).umount2(os.fsencode(folder), 2)


@pytest.fixture(params=["small disk", "quota"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "small"
    folder.mkdir()
    if request.param == "small disk":
        with mounted(folder) as small:
            yield small
        return
    quota = Quota(folder)
    yield quota
    quota.free()


async def test_full_disk_delays_records_and_loses_none(disk: Disk) -> None:
    recorder = Recorder(recorder_settings(queue=5000), disk.folder / "spool.db")
    await recorder.start()
    recorder.put(record(0))
    await until(lambda: recorder.stats().recorded == 1, "the first record is there")
    disk.fill()
    for number in range(1, 4001):
        assert recorder.put(record(number))
        if number == 2000:
            await until(lambda: recorder.stats().commit_failures > 0, "the disk refuses")
    assert "cannot be written" in recorder.stats().degraded
    disk.free()
    await until(lambda: recorder.stats().recorded == 4001, "all are there")
    assert recorder.stats().degraded == ""
    await recorder.aclose()
    with Archive(disk.folder / "spool.db") as archive:
        assert archive.counts()["records"] == 4001


async def test_full_disk_and_full_queue_drop_and_count(disk: Disk) -> None:
    recorder = Recorder(recorder_settings(queue=100), disk.folder / "spool.db")
    await recorder.start()
    disk.fill()
    taken = 0
    deadline = time.monotonic() + 60.0
    while recorder.stats().dropped["queue_full"] == 0:
        assert time.monotonic() < deadline
        taken += recorder.put(record(taken, request=b'"' + b"x" * 20_000 + b'"'))
        await until(lambda: True, "the loop turns")
    stats = recorder.stats()
    assert stats.queued <= 100
    assert "queue was full" in stats.degraded
    await recorder.aclose(grace=1.0)
    stats = recorder.stats()
    assert stats.recorded + stats.dropped["disk"] == taken
    Archive(disk.folder / "spool.db").close()


async def test_sync_answers_nothing_that_it_cannot_record(disk: Disk) -> None:
    recorder = Recorder(recorder_settings(sync_timeout=5.0), disk.folder / "spool.db")
    await recorder.start()
    await recorder.put_durably(record(1))
    disk.fill()
    with pytest.raises(Overloaded, match="cannot be recorded"):
        await recorder.put_durably(record(2, request=b'"' + b"x" * 900_000 + b'"'))
    disk.free()
    await recorder.put_durably(record(3))
    await recorder.aclose(grace=1.0)


async def test_spool_that_reaches_its_size_keeps_it(tmp_path: Path) -> None:
    size = 8 << 20
    settings = recorder_settings(spool=spool_settings(size=size))
    recorder = Recorder(settings, tmp_path / "spool.db")
    await recorder.start()
    body = b'"' + os.urandom(5000).hex().encode() + b'"'
    for number in range(4000):
        recorder.put(record(number, request=body))
        if number % 200 == 0:
            await until(lambda: recorder.stats().queued < 200, "the writer keeps up")
            assert recorder.stats().spool_bytes < size * 1.5
    await recorder.aclose()
    assert (tmp_path / "spool.db").stat().st_size <= size
    with Archive(tmp_path / "spool.db") as archive:
        assert 400 < archive.counts()["records"] < 4000
