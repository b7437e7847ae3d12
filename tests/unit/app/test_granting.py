"""Grants as they come, in whatever order, and what is done where nobody speaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.unit.proxy.governed import Process, kimi, spec

from mcp_gateway.api import MCPGateway
from mcp_gateway.api.control import SILENCE, Grant
from mcp_gateway.api.quota import Quota
from mcp_gateway.app.grant_file import NAME, GrantFile
from mcp_gateway.app.granting import ALONE, Granting
from mcp_gateway.app.steering import Steering
from mcp_gateway.config.secrets import SecretReader


async def _nothing(_: MCPGateway) -> None:
    """Apply nothing."""


class Pod:
    """One process of a pod, with its data folder."""

    def __init__(self, folder: Path, pod: str = "uid-1") -> None:
        self.process = Process(mode="Off")
        apply: Callable[[MCPGateway], Awaitable[None]] = _nothing
        document = MCPGateway(metadata={"name": "web"}, spec=spec())  # type: ignore[arg-type]
        self.steering = Steering(
            document, apply, lambda: None, SecretReader(None, {}), follow_secrets=False
        )
        self.file = GrantFile(folder, pod)
        kept = self.file.load()
        if kept is not None:
            self.process.governor.restore(kept.grant, kept.accounts)
        self.granting = Granting(self.process.governor, self.steering, self.file)
        self.process.apply(kimi())
        self.granting.channels(0)

    @property
    def limit(self) -> int:
        return self.process.limit("kimi")


def grant(share: int, sequence: int = 1, epoch: int = 1) -> Grant:
    return Grant(epoch=epoch, sequence=sequence, quotas=[Quota(provider="kimi", share=share)])


async def test_a_grant_counts_once_and_in_order(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    assert await pod.granting.take(grant(10, 2))
    assert not await pod.granting.take(grant(20, 2))
    assert not await pod.granting.take(grant(20, 1))
    assert (pod.limit, pod.granting.sequence) == (10, 2)
    assert await pod.granting.take(grant(5, 1, epoch=2))
    assert not await pod.granting.take(grant(20, 9, epoch=1)), "an old leader wakes up"
    assert (pod.limit, pod.granting.sequence, pod.steering.epoch) == (5, 1, 2)


async def test_a_grant_of_a_former_leadership_stays_and_has_no_number(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    await pod.granting.take(grant(10, 7))
    pod.steering.epoch = 3  # a configuration of a new leader came
    assert (pod.limit, pod.granting.sequence) == (10, 0)
    assert not await pod.granting.take(grant(20, 8, epoch=2))
    assert await pod.granting.take(grant(4, 1, epoch=3))
    assert (pod.limit, pod.granting.sequence) == (4, 1)


async def test_a_container_that_starts_again_goes_on_with_its_grant(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    await pod.granting.take(grant(10, 7, epoch=4))
    again = Pod(tmp_path)
    assert (again.limit, again.granting.sequence, again.steering.epoch) == (10, 7, 4)
    assert not await again.granting.take(grant(20, 7, epoch=4))
    assert await again.granting.take(grant(9, 8, epoch=4))


async def test_a_grant_is_not_acknowledged_while_the_one_before_cannot_be_replaced(
    tmp_path: Path,
) -> None:
    pod = Pod(tmp_path)
    await pod.granting.take(grant(10, 1))
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()
    assert await pod.granting.take(grant(5, 2))
    assert (pod.limit, pod.granting.sequence) == (5, 1)
    (tmp_path / NAME).rmdir()
    assert await pod.granting.take(grant(4, 3))
    assert (pod.limit, pod.granting.sequence) == (4, 3)


async def test_a_grant_is_not_acknowledged_before_the_document_lets_it_count(
    tmp_path: Path,
) -> None:
    pod = Pod(tmp_path)
    await pod.granting.take(grant(10, 1))
    pod.process.apply(kimi(), mode="Off")
    await pod.granting.take(grant(5, 2))
    assert (pod.limit, pod.granting.sequence) == (25, 1)
    pod.process.apply(kimi())
    assert (pod.limit, pod.granting.sequence) == (5, 1)
    await pod.granting.take(grant(5, 3))
    assert (pod.limit, pod.granting.sequence) == (5, 3)


async def test_what_another_document_takes_away_is_not_the_next_processs_either(
    tmp_path: Path,
) -> None:
    pod = Pod(tmp_path)
    await pod.granting.take(grant(10, 7))
    async with pod.granting.changing():
        assert pod.file.load() is None, "a process that begins now has nothing"
        await pod.granting.take(grant(12, 8))
        assert pod.granting.sequence == 8
        assert pod.file.load() is None
        pod.process.apply(kimi("sk-2"))
    again = Pod(tmp_path)
    assert (again.limit, again.granting.sequence) == (0, 8)


async def test_another_pod_of_the_same_name_begins_with_nothing(tmp_path: Path) -> None:
    await Pod(tmp_path).granting.take(grant(10))
    assert Pod(tmp_path, pod="uid-2").limit == 0


async def test_a_pod_without_a_grant_helps_itself_where_nobody_speaks(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    await asyncio.sleep(ALONE - 0.1)
    assert pod.limit == 0
    await asyncio.sleep(0.2)
    assert pod.limit == 25


async def test_an_open_channel_is_a_word(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    await asyncio.sleep(ALONE - 1.0)
    pod.granting.channels(1)
    await asyncio.sleep(100 * ALONE)
    assert pod.limit == 0
    pod.granting.channels(2)
    pod.granting.channels(1)
    await asyncio.sleep(100 * ALONE)
    assert pod.limit == 0
    pod.granting.channels(0)
    await asyncio.sleep(ALONE + 0.1)
    assert pod.limit == 25


async def test_an_operator_that_is_gone_leaves_the_share_as_a_cap(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    pod.granting.channels(1)
    await pod.granting.take(grant(10))
    limit = pod.process.lane("kimi").limit
    limit.refused(4)
    pod.granting.channels(0)
    await asyncio.sleep(SILENCE - 1.0)
    assert limit.governed
    assert pod.limit == 4
    await asyncio.sleep(2.0)
    assert not limit.governed
    assert limit.ceiling == 10
    pod.granting.channels(1)
    assert not limit.governed, "until it grants"
    await pod.granting.take(grant(8, 2))
    assert limit.governed
    assert pod.limit == 8
    pod.granting.close()


async def test_a_closed_gateway_waits_for_nobodys_silence(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    pod.granting.close()
    await asyncio.sleep(10 * SILENCE)
    assert pod.limit == 0
