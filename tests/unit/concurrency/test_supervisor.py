from __future__ import annotations

import asyncio
import itertools
import logging

import pytest

from mcp_gateway.concurrency.supervisor import STEADY, Supervisor


def supervisor() -> Supervisor:
    return Supervisor(initial_delay=1.0, max_delay=8.0, rng=lambda: 0.0)


async def test_a_task_runs_under_its_name() -> None:
    names: list[str] = []

    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        names.append(task.get_name())

    owner = supervisor()
    owner.start("reader", work)
    assert owner.running == {"reader"}
    await asyncio.sleep(0.1)
    assert names == ["reader"]
    assert owner.running == frozenset()
    await owner.aclose()


async def test_a_dead_task_is_logged_and_restarted_after_growing_delays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    starts: list[float] = []

    async def work() -> None:
        starts.append(loop.time())
        raise ValueError("broken")

    owner = supervisor()
    began = loop.time()
    with caplog.at_level(logging.ERROR):
        owner.start("pump", work)
        await asyncio.sleep(7.5)
        assert "pump" in owner.failed
        await owner.aclose()
    assert [start - began for start in starts] == [0.0, 1.0, 3.0, 7.0]
    assert caplog.records[0].getMessage().startswith("background task pump died")
    assert owner.running == frozenset()


async def test_a_restarted_task_is_no_longer_failed() -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ValueError("broken")
        await asyncio.sleep(1000)

    owner = supervisor()
    owner.start("pump", work)
    await asyncio.sleep(0.5)
    assert isinstance(owner.failed["pump"], ValueError)
    await asyncio.sleep(1.0)
    assert not owner.failed
    await owner.aclose()


async def test_a_task_that_worked_for_long_restarts_promptly() -> None:
    loop = asyncio.get_running_loop()
    starts: list[float] = []
    lives = [0.0, 0.0, STEADY]

    async def work() -> None:
        starts.append(loop.time())
        await asyncio.sleep(lives[len(starts) - 1] if len(starts) <= len(lives) else 1000)
        raise ValueError("broken")

    owner = supervisor()
    owner.start("pump", work)
    await asyncio.sleep(STEADY + 10)
    assert [after - before for before, after in itertools.pairwise(starts)] == [
        1.0,
        2.0,
        STEADY + 1.0,
    ]
    await owner.aclose()


async def test_a_task_that_is_not_restarted_stays_failed() -> None:
    async def work() -> None:
        raise ValueError("broken")

    owner = supervisor()
    owner.start("once", work, restart=False)
    await asyncio.sleep(100)
    assert isinstance(owner.failed["once"], ValueError)
    assert owner.running == frozenset()

    async def mended() -> None: ...

    owner.start("once", mended, restart=False)
    assert not owner.failed
    await owner.aclose()


async def test_a_name_is_used_once_at_a_time() -> None:
    async def work() -> None:
        await asyncio.sleep(1000)

    owner = supervisor()
    owner.start("one", work)
    with pytest.raises(RuntimeError, match="'one' is running"):
        owner.start("one", work)
    await owner.stop("one")
    await owner.stop("unknown")
    owner.start("one", work)
    await owner.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        owner.start("two", work)


async def test_close_waits_for_what_tasks_do_at_their_end() -> None:
    done: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            done.append("cleaned")

    owner = supervisor()
    owner.start("tidy", work)
    await asyncio.sleep(0)
    await owner.aclose()
    await owner.aclose()
    assert done == ["cleaned"]


async def test_a_name_can_be_taken_again_before_its_last_task_is_forgotten() -> None:
    async def work() -> None:
        await asyncio.sleep(1000)

    owner = supervisor()
    owner.start("one", work)
    task = next(task for task in asyncio.all_tasks() if task.get_name() == "one")
    task.cancel()
    await owner.stop("one")
    owner.start("one", work)
    assert owner.running == {"one"}
    await owner.aclose()
