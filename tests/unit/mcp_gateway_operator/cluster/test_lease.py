"""Who leads, and who only thinks so."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from tests.unit.mcp_gateway_operator.scripted_cluster import ScriptedCluster

from mcp_gateway_operator.cluster import Conflict, Leadership, NotFound, NotLeading, Unreachable
from mcp_gateway_operator.cluster.lease import DURATION, RENEWAL

ABSENT = NotFound(404, "NotFound", "")
CHANGED = Conflict(409, "Conflict", "")
AWAY = Unreachable("away")
TODAY = 1_767_225_600.0 + 1_000.0


def lease(holder: str, transitions: int = 3, renewed: str = "t0") -> dict[str, Any]:
    spec = {"holderIdentity": holder, "leaseTransitions": transitions, "renewTime": renewed}
    return {"metadata": {"resourceVersion": "7"}, "spec": spec}


class Replica:
    """One replica on an API server that says what a test wrote down."""

    def __init__(self, *answers: Any) -> None:
        self.story: list[str] = []
        self.failures = 0
        self.cluster = ScriptedCluster(*answers)
        self.leadership = Leadership(
            self.cluster, "system", "me",
            begin=self._begin, end=self._end, clock=asyncio.get_running_loop().time,
            calendar=lambda: TODAY,
        )  # fmt: skip

    async def turns(self, number: float) -> None:
        """Take part for some turns."""
        task = asyncio.get_running_loop().create_task(self.leadership.run())
        await asyncio.sleep(RENEWAL * (number - 1) + 0.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _begin(self, epoch: int) -> None:
        if self.failures:
            self.failures -= 1
            raise AWAY
        self.story.append(f"begin {epoch}")

    async def _end(self) -> None:
        self.story.append("end")


async def test_the_first_makes_the_lease_and_renews_it() -> None:
    replica = Replica(ABSENT, {}, lease("me", 1001), {})
    await replica.turns(2)
    assert replica.story == ["begin 1001"]
    assert [sent.verb for sent in replica.cluster.sent] == ["get", "create", "get", "patch"]
    assert replica.cluster.sent[-1].body["metadata"] == {"resourceVersion": "7"}
    replica.leadership.check()


async def test_an_empty_lease_is_taken_at_once_with_the_next_epoch() -> None:
    replica = Replica(lease(""), {})
    await replica.turns(1)
    assert replica.story == ["begin 4"]
    assert replica.cluster.sent[-1].body["spec"]["leaseTransitions"] == 4


async def test_a_lease_without_a_past_counts_on_from_every_other_there_may_have_been() -> None:
    replica = Replica(lease("", 0), {}, ABSENT, {})
    await replica.turns(2)
    assert replica.story == ["begin 1001", "end", "begin 1002"]
    spec = replica.cluster.sent[-1].body["spec"]
    assert (replica.cluster.sent[-1].verb, spec["leaseTransitions"]) == ("create", 1002)


async def test_a_silent_holder_is_waited_for_as_long_as_its_lease_lasts() -> None:
    turns = math.ceil(DURATION / RENEWAL) + 1
    replica = Replica(*[lease("other")] * turns, {})
    await replica.turns(turns - 1)
    assert replica.story == []
    replica = Replica(*[lease("other")] * turns, {})
    await replica.turns(turns)
    assert replica.story == ["begin 4"]


async def test_a_holder_that_renews_stays() -> None:
    replica = Replica(*(lease("other", renewed=f"t{number}") for number in range(8)))
    await replica.turns(8)
    assert replica.story == []


async def test_who_writes_second_does_not_lead() -> None:
    replica = Replica(lease(""), CHANGED, lease("other"))
    await replica.turns(2)
    assert replica.story == []
    with pytest.raises(NotLeading):
        replica.leadership.check()


async def test_a_leader_that_cannot_renew_steps_down_by_its_own_clock() -> None:
    replica = Replica(lease(""), {}, *[AWAY] * 5)
    await replica.turns(5)
    assert replica.story == ["begin 4", "end"]


async def test_a_leader_stops_writing_before_it_notices() -> None:
    replica = Replica(lease(""), {})
    await replica.turns(1)
    assert replica.leadership.leading
    await asyncio.sleep(DURATION)
    assert not replica.leadership.leading


async def test_a_leader_that_was_replaced_steps_down() -> None:
    replica = Replica(lease(""), {}, lease("other", 5))
    await replica.turns(2)
    assert replica.story == ["begin 4", "end"]


async def test_a_leader_that_comes_back_to_its_own_old_lease_has_a_new_epoch() -> None:
    replica = Replica(lease(""), {}, *[AWAY] * 4, lease("me", 4), {})
    await replica.turns(6)
    assert replica.story == ["begin 4", "end", "begin 5"]
    assert replica.leadership.leading


async def test_a_lease_that_ran_out_while_it_was_renewed_is_a_leadership_that_ended() -> None:
    replica = Replica(lease(""), {}, lease("me", 4), {}, lease("me", 4), {})
    replica.cluster.delays = {2: 4.0, 3: 4.5}
    await replica.turns(6)
    assert replica.story == ["begin 4", "end", "begin 5"]
    assert replica.leadership.leading


async def test_a_beginning_that_fails_is_tried_again_and_nothing_is_written_before() -> None:
    replica = Replica(lease(""), {}, lease("me", 4), {}, lease("me", 4), {})
    replica.failures = 2
    await replica.turns(2)
    assert replica.story == []
    assert not replica.leadership.leading
    await replica.turns(1)
    assert replica.story == ["begin 4"]
    assert replica.leadership.leading


async def test_release_hands_the_lease_over_after_the_work_has_ended() -> None:
    replica = Replica(lease(""), {}, lease("me", 4), {})
    await replica.turns(1)
    await replica.leadership.release()
    assert replica.story == ["begin 4", "end"]
    assert replica.cluster.sent[-1].body["spec"]["holderIdentity"] == ""
    await replica.leadership.release()
    assert len(replica.cluster.sent) == 4


async def test_release_without_an_api_server_ends_all_the_same() -> None:
    replica = Replica(lease(""), {}, AWAY)
    await replica.turns(1)
    await replica.leadership.release()
    assert replica.story == ["begin 4", "end"]
