"""Tasks that must not end."""

from __future__ import annotations

import asyncio

from mcp_gateway_operator.tasks import Tasks


async def for_ever() -> None:
    await asyncio.Event().wait()


async def breaks() -> None:
    raise ValueError("a defect")


async def ends() -> None:
    return


async def test_one_that_ends_is_dead_however_it_ends() -> None:
    tasks = Tasks()
    tasks.start("lives", for_ever())
    tasks.start("breaks", breaks())
    tasks.start("ends", ends())
    assert tasks.dead == []
    await asyncio.sleep(0.1)
    assert sorted(tasks.dead) == ["breaks", "ends"]
    await tasks.aclose()


async def test_an_orderly_end_is_nobodys_death() -> None:
    tasks = Tasks()
    tasks.start("lives", for_ever())
    await asyncio.sleep(0.1)
    await tasks.aclose()
    assert tasks.dead == []
