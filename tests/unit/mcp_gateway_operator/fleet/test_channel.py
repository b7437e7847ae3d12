from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest
from tests.unit.mcp_gateway_operator.fleet.network import CREDENTIALS, FakePod, Network

from mcp_gateway.api.control import PORT, SILENCE, Config, Ping
from mcp_gateway_operator.fleet.channel import LAST_DELAY, Channel
from mcp_gateway_operator.fleet.conversation import HELLO_WITHIN, Wanted


class Rig:
    """A channel to one fake pod."""

    def __init__(self) -> None:
        self.network = Network("a")
        self.news = 0
        self.channel = Channel(
            self.pod.pod,
            PORT,
            CREDENTIALS,
            dialer=self.network,
            changed=self._changed,
            rng=lambda: 0.5,
        )

    @property
    def pod(self) -> FakePod:
        return self.network["a"]

    def _changed(self) -> None:
        self.news += 1

    def want(self, generation: int) -> None:
        config = Config(generation=generation, epoch=1, document={})
        self.channel.want(Wanted.of(config, generation))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    yield rig
    await rig.channel.aclose()


async def test_a_channel_is_dialed_and_carries_what_is_wanted(rig: Rig) -> None:
    rig.want(2)
    rig.channel.start()
    await asyncio.sleep(0.1)

    assert rig.pod.generation == 2
    assert rig.channel.talk.connected
    assert rig.channel.talk.report is not None
    rig.want(3)
    await asyncio.sleep(0.01)
    assert rig.pod.generation == 3, "an open channel carries a change at once"
    assert rig.news > 0


async def test_a_channel_at_rest_says_nothing_but_heartbeats(rig: Rig) -> None:
    rig.channel.start()
    await asyncio.sleep(600.0)

    assert len(rig.pod.dials) == 1
    assert {type(message) for message in rig.pod.heard} == {Ping}
    assert 30 <= len(rig.pod.heard) <= 40


async def test_a_channel_that_breaks_is_dialed_again_soon(rig: Rig) -> None:
    rig.channel.start()
    await asyncio.sleep(100.0)
    rig.pod.cut()
    await asyncio.sleep(0.01)
    assert not rig.channel.talk.connected
    assert rig.channel.talk.problem == "connection lost"
    await asyncio.sleep(0.5)
    assert rig.channel.talk.connected


async def test_a_pod_that_cannot_be_reached_is_tried_ever_more_slowly(rig: Rig) -> None:
    rig.pod.down = "connection refused"
    rig.channel.start()
    await asyncio.sleep(120.0)

    gaps = [after - before for before, after in zip(rig.pod.dials, rig.pod.dials[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 0.5
    assert LAST_DELAY / 2 < gaps[-1] <= LAST_DELAY + 0.1
    assert rig.channel.talk.problem == "connection refused"
    assert rig.news == 1, "the same problem again is no news"
    rig.pod.down = ""
    await asyncio.sleep(LAST_DELAY)
    assert rig.channel.talk.connected


async def test_a_pod_that_accepts_and_hangs_is_given_up(rig: Rig) -> None:
    rig.pod.silent = True
    rig.channel.start()
    await asyncio.sleep(HELLO_WITHIN + 0.1)

    assert "says nothing" in rig.channel.talk.problem
    assert rig.pod.wires == []


async def test_a_pod_that_freezes_is_given_up_after_two_heartbeats(rig: Rig) -> None:
    rig.channel.start()
    await asyncio.sleep(1.0)
    rig.pod.silent = True
    await asyncio.sleep(SILENCE + 0.1)

    assert not rig.channel.talk.connected
    assert "missed two heartbeats" in rig.channel.talk.problem


async def test_a_flood_slows_down_nobody_but_its_pod(rig: Rig) -> None:
    rig.channel.start()
    await asyncio.sleep(0.1)
    for _ in range(10):
        for wire in rig.pod.wires:
            for _ in range(1_000):
                wire.put(rig.pod.report.encode())
        await asyncio.sleep(60.0)

    assert len(rig.pod.dials) <= 12


async def test_the_former_token_opens_until_the_pod_has_the_new_one(rig: Rig) -> None:
    rig.channel.start()
    await asyncio.sleep(0.1)
    rig.channel.follow(dataclasses.replace(CREDENTIALS, token="t2"))
    rig.channel.follow(dataclasses.replace(CREDENTIALS, token="t2"))
    await asyncio.sleep(1.0)
    assert len(rig.pod.dials) == 1, "a channel that is open stays open"

    rig.pod.cut()
    await asyncio.sleep(1.0)
    assert rig.channel.talk.connected
    rig.pod.token = "t2"
    rig.pod.cut()
    await asyncio.sleep(2.0)
    assert rig.channel.talk.connected


async def test_a_wrong_token_is_a_problem_with_a_name(rig: Rig) -> None:
    rig.pod.token = "another"
    rig.channel.start()
    await asyncio.sleep(1.0)

    assert rig.channel.talk.problem == "the pod does not know our token yet"


async def test_a_bug_in_the_dialing_does_not_end_the_channel(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    pods = rig.network.pods
    rig.network.pods = {}
    rig.channel.start()
    await asyncio.sleep(1.0)
    assert rig.channel.talk.problem == "internal error: KeyError"
    assert "control channel failed" in caplog.text
    rig.network.pods = pods
    await asyncio.sleep(LAST_DELAY)
    assert rig.channel.talk.connected


async def test_a_closed_channel_leaves_nothing_behind(rig: Rig) -> None:
    rig.channel.start()
    await asyncio.sleep(0.1)
    await rig.channel.aclose()
    await rig.channel.aclose()

    assert rig.pod.wires == []
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not any("channel" in name or name.startswith(("read", "write")) for name in names)
