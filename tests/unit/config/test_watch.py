from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from mcp_gateway.config.watch import FileWatcher


class Calls:
    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self) -> None:
        self.times.append(asyncio.get_running_loop().time())


async def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path, calls = tmp_path / "a", Calls()
    path.write_text("1", encoding="utf-8")

    async with FileWatcher([path], calls):
        await asyncio.sleep(5)
        assert calls.times == []

        path.write_text("22", encoding="utf-8")
        await asyncio.sleep(5)

    assert len(calls.times) == 1


async def test_a_file_may_appear_and_vanish(tmp_path: Path) -> None:
    path, calls = tmp_path / "a", Calls()

    async with FileWatcher([path], calls):
        path.write_text("1", encoding="utf-8")
        await asyncio.sleep(5)
        path.unlink()
        await asyncio.sleep(5)

    assert len(calls.times) == 2


async def test_a_swapped_link_is_a_change_as_the_kubelet_makes_it(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "key").write_text("same", encoding="utf-8")
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "key").symlink_to("..data/key")
    calls = Calls()

    async with FileWatcher([tmp_path / "key"], calls):
        (tmp_path / "..tmp").symlink_to("v2")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        await asyncio.sleep(5)

    assert len(calls.times) == 1


async def test_a_file_written_in_steps_is_one_change_after_the_last(tmp_path: Path) -> None:
    path, calls = tmp_path / "a", Calls()
    path.write_text("", encoding="utf-8")
    loop = asyncio.get_running_loop()
    start = loop.time()

    async with FileWatcher([path], calls):
        await asyncio.sleep(0.99)
        for size in range(1, 6):
            path.write_text("x" * size, encoding="utf-8")
            await asyncio.sleep(0.08)
        last = loop.time()
        await asyncio.sleep(5)

    (when,) = calls.times
    assert when > last > start + 1.0


async def test_several_files_changed_together_are_one_change(tmp_path: Path) -> None:
    paths, calls = [tmp_path / "a", tmp_path / "b"], Calls()

    async with FileWatcher(paths, calls):
        for path in paths:
            path.write_text("1", encoding="utf-8")
        await asyncio.sleep(5)

    assert len(calls.times) == 1


async def test_a_look_that_fails_does_not_end_the_watching(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, calls = tmp_path / "a", Calls()

    def fail_once() -> None:
        calls()
        if len(calls.times) == 1:
            raise RuntimeError("once")

    with caplog.at_level(logging.CRITICAL):
        async with FileWatcher([path], fail_once):
            path.write_text("1", encoding="utf-8")
            await asyncio.sleep(60)
            path.write_text("22", encoding="utf-8")
            await asyncio.sleep(60)

    assert len(calls.times) == 2


async def test_nothing_is_noticed_after_the_end(tmp_path: Path) -> None:
    path, calls = tmp_path / "a", Calls()

    async with FileWatcher([path], calls):
        pass
    path.write_text("1", encoding="utf-8")
    await asyncio.sleep(5)

    assert calls.times == []
