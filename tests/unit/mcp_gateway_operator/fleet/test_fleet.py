from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import pytest
from tests.unit.mcp_gateway_operator.fleet.network import KEY, Network, document

from mcp_gateway.api import Canary, Rollout
from mcp_gateway.api.control import Refused, Report
from mcp_gateway_operator.facts import Fleet, FleetView, Key, Term
from mcp_gateway_operator.fleet import PodFleet

CANARY = Rollout(strategy="Canary", canary=Canary(pods=1, window=60.0))


class Leader:
    """A fleet over three fake pods, and what it told the reconciler."""

    def __init__(self, *names: str) -> None:
        self.network = Network(*names)
        self.fleet = PodFleet(dialer=self.network)
        self.changed: list[Key] = []
        self.fleet.start(self.changed.append, Term())

    @property
    def view(self) -> FleetView:
        return self.fleet.view(KEY)

    def assign(self, wanted: int, *names: str, **fields: object) -> None:
        self.fleet.assign(KEY, self.network.target(document(wanted), *names, **fields))

    def generations(self) -> dict[str, int]:
        return {pod.name: pod.generation for pod in self.network.pods.values()}

    def count(self, name: str, requests: int, errors: int) -> None:
        self.network[name].report = Report(requests=requests, errors=errors, since=1.0)


@pytest.fixture
async def leader() -> AsyncIterator[Leader]:
    leader = Leader("a", "b", "c")
    yield leader
    await leader.fleet.aclose()


async def test_it_is_what_the_reconciler_asks_for(leader: Leader) -> None:
    fleet: Fleet = leader.fleet
    assert fleet.view(Key("nobody", "here")) == FleetView()
    fleet.forget(Key("nobody", "here"))


async def test_every_pod_gets_what_is_wanted(leader: Leader) -> None:
    leader.assign(2)
    await asyncio.sleep(0.1)

    assert leader.generations() == {"a": 2, "b": 2, "c": 2}
    assert all(pod.connected and pod.generation == 2 for pod in leader.view.pods.values())
    assert set(leader.changed) == {KEY}


async def test_the_same_again_says_nothing_to_anybody(leader: Leader) -> None:
    leader.assign(2)
    await asyncio.sleep(10.0)
    leader.changed.clear()
    said = [len(pod.heard) for pod in leader.network.pods.values()]
    for _ in range(10):
        leader.assign(2)
        await asyncio.sleep(0.1)

    assert [len(pod.heard) for pod in leader.network.pods.values()] == said
    assert leader.changed == []


async def test_counts_of_requests_wake_nobody(leader: Leader) -> None:
    leader.assign(2)
    await asyncio.sleep(10.0)
    leader.changed.clear()
    for number in range(100):
        leader.count("a", number, 0)
        for wire in leader.network["a"].wires:
            wire.put(leader.network["a"].report.encode())
        await asyncio.sleep(5.0)

    assert leader.changed == []


async def test_a_pod_that_comes_and_one_that_goes_are_followed(leader: Leader) -> None:
    leader.assign(2, "a", "b")
    await asyncio.sleep(0.1)
    leader.assign(2, "b", "c")
    await asyncio.sleep(0.1)

    assert set(leader.view.pods) == {"b", "c"}
    assert leader.network["c"].generation == 2
    assert leader.network["a"].wires == []


async def test_a_pod_of_the_same_name_is_another_pod(leader: Leader) -> None:
    leader.assign(2, "a")
    await asyncio.sleep(0.1)
    pod = dataclasses.replace(leader.network["a"].pod, uid="another")
    leader.network["a"].generation = 1
    target = leader.network.target(document(2), pods=(pod,))
    leader.fleet.assign(KEY, target)
    assert not leader.view.pods["a"].connected
    await asyncio.sleep(0.1)

    assert leader.network["a"].generation == 2
    assert len(leader.network["a"].dials) == 2


async def test_a_pod_that_becomes_ready_is_dialed_at_once(leader: Leader) -> None:
    pod = leader.network["a"]
    pod.down = "connection refused"
    starting = dataclasses.replace(pod.pod, ready=False)
    leader.fleet.assign(KEY, leader.network.target(document(2), pods=(starting,)))
    await asyncio.sleep(100.0)
    pod.down = ""
    dials = len(pod.dials)
    leader.assign(2, "a")
    await asyncio.sleep(0.1)

    assert leader.view.pods["a"].connected
    leader.assign(2, "a")
    await asyncio.sleep(100.0)
    assert len(pod.dials) == dials + 1


async def test_a_pod_without_an_address_is_waited_for(leader: Leader) -> None:
    pod = dataclasses.replace(leader.network["a"].pod, ip="")
    leader.fleet.assign(KEY, leader.network.target(document(2), pods=(pod,)))

    assert leader.view.pods["a"].problem == "the pod has no address yet"


async def test_a_refusal_is_shown_in_the_pods_own_words(leader: Leader) -> None:
    leader.network["b"].refuses = Refused.model_validate(
        {"generation": 2, "problems": [{"path": "spec.routes", "message": "is empty"}]}
    )
    leader.assign(2)
    await asyncio.sleep(0.1)

    shown = leader.view.pods["b"]
    assert (shown.generation, shown.refused, shown.problem) == (1, 2, "spec.routes: is empty")


async def test_a_forgotten_gateway_is_left_alone(leader: Leader) -> None:
    leader.assign(2)
    await asyncio.sleep(0.1)
    leader.fleet.forget(KEY)
    await asyncio.sleep(0.1)

    assert leader.view == FleetView()
    assert all(pod.wires == [] for pod in leader.network.pods.values())


async def test_a_leadership_that_ends_can_begin_again(leader: Leader) -> None:
    leader.assign(2)
    await asyncio.sleep(0.1)
    await leader.fleet.aclose()
    assert all(pod.wires == [] for pod in leader.network.pods.values())
    leader.fleet.start(leader.changed.append, Term())
    leader.assign(2, epoch=2)
    await asyncio.sleep(0.1)

    assert {pod.epoch for pod in leader.network.pods.values()} == {2}


# --- rollouts ------------------------------------------------------------------------------


async def test_at_once_is_promoted_when_a_pod_took_it(leader: Leader) -> None:
    leader.assign(1)
    await asyncio.sleep(0.1)
    leader.assign(2, promoted=document(1))
    assert leader.view.promoted == 1
    await asyncio.sleep(0.1)

    assert leader.view.promoted == 2


async def test_what_every_pod_refuses_is_not_promoted(leader: Leader) -> None:
    for pod in leader.network.pods.values():
        pod.refuses = Refused.model_validate({"generation": 2, "problems": [{"message": "no"}]})
    leader.assign(1)
    await asyncio.sleep(0.1)
    leader.assign(2, promoted=document(1))
    await asyncio.sleep(100.0)

    assert leader.view.promoted == 1


async def test_a_leader_that_has_only_begun_hears_the_pods_first(leader: Leader) -> None:
    for pod in leader.network.pods.values():
        pod.refuses = Refused.model_validate({"generation": 2, "problems": [{"message": "no"}]})
    leader.assign(2, promoted=document(1))
    assert leader.view.promoted == 1
    await asyncio.sleep(100.0)
    assert leader.view.promoted == 1


async def test_pods_that_serve_and_cannot_be_reached_are_not_waited_for_long(
    leader: Leader,
) -> None:
    for pod in leader.network.pods.values():
        pod.down = "a policy is in the way"
    leader.assign(2, promoted=document(1))
    await asyncio.sleep(50.0)
    assert leader.view.promoted == 1
    await asyncio.sleep(20.0)
    assert leader.view.promoted == 2


async def test_the_first_document_is_promoted_at_once(leader: Leader) -> None:
    for pod in leader.network.pods.values():
        pod.generation = 0
    leader.assign(1, promoted=None, rollout=CANARY)

    assert leader.view.promoted == 1


async def test_without_pods_there_is_nobody_to_ask(leader: Leader) -> None:
    for rollout in (Rollout(), CANARY):
        target = leader.network.target(document(2), promoted=document(1), rollout=rollout, pods=())
        leader.fleet.assign(KEY, target)
        assert leader.view.promoted == 2
        leader.fleet.forget(KEY)


async def test_a_canary_is_watched_and_then_everybody_gets_it(leader: Leader) -> None:
    leader.assign(1, rollout=CANARY)
    await asyncio.sleep(1.0)
    leader.assign(2, promoted=document(1), rollout=CANARY)
    await asyncio.sleep(30.0)
    assert leader.generations() == {"a": 2, "b": 1, "c": 1}
    assert leader.view.promoted == 1
    await asyncio.sleep(40.0)

    assert leader.generations() == {"a": 2, "b": 2, "c": 2}
    assert leader.view.promoted == 2
    leader.assign(2, rollout=CANARY)
    assert leader.view.promoted == 2


async def test_a_canary_that_fails_is_taken_back(leader: Leader) -> None:
    leader.assign(1, rollout=CANARY)
    await asyncio.sleep(1.0)
    leader.assign(2, promoted=document(1), rollout=CANARY)
    await asyncio.sleep(30.0)
    leader.count("a", 100, 90)
    leader.count("b", 100, 1)
    await asyncio.sleep(40.0)

    assert leader.generations() == {"a": 1, "b": 1, "c": 1}
    assert leader.network["a"].configs[-1].takes_back == 2
    assert (leader.view.promoted, leader.view.rejected) == (1, 2)
    assert leader.view.rejection.startswith("90 of 100 requests failed on a")
    for _ in range(3):
        leader.assign(2, promoted=document(1), rollout=CANARY)
        await asyncio.sleep(100.0)
    assert leader.generations() == {"a": 1, "b": 1, "c": 1}
    # The next change is tried, and one for all at once is not watched.
    leader.assign(3, promoted=document(1))
    await asyncio.sleep(0.1)
    assert leader.generations() == {"a": 3, "b": 3, "c": 3}


async def test_a_changed_mind_goes_to_the_pod_that_is_tried_already(leader: Leader) -> None:
    leader.assign(1, rollout=CANARY)
    await asyncio.sleep(1.0)
    leader.network["a"].generation = 1
    leader.assign(2, promoted=document(1), rollout=CANARY)
    await asyncio.sleep(10.0)
    leader.assign(3, promoted=document(1), rollout=CANARY)
    await asyncio.sleep(10.0)

    assert leader.generations() == {"a": 3, "b": 1, "c": 1}


async def test_a_new_leader_begins_the_trial_again_where_the_last_one_left_it(
    leader: Leader,
) -> None:
    leader.network["b"].generation = 2
    leader.assign(3, promoted=document(1), rollout=CANARY, epoch=4)
    await asyncio.sleep(5.0)

    assert leader.generations()["a"] == 1
    assert leader.generations()["c"] == 1
    await asyncio.sleep(100.0)
    assert set(leader.generations().values()) == {3}


# --- providers -----------------------------------------------------------------------------


async def test_one_pod_is_asked_about_the_providers(leader: Leader) -> None:
    leader.assign(1)
    await asyncio.sleep(1.0)

    assert [probed.state for probed in leader.view.providers] == ["Healthy"]
    assert sum(len(pod.probes) for pod in leader.network.pods.values()) == 1
    await asyncio.sleep(3_600.0)
    assert 12 <= sum(len(pod.probes) for pod in leader.network.pods.values()) <= 14


async def test_a_provider_in_trouble_is_asked_again_soon(leader: Leader) -> None:
    for pod in leader.network.pods.values():
        pod.state = "CredentialRefused"
    leader.assign(1)
    await asyncio.sleep(1.0)
    assert [probed.state for probed in leader.view.providers] == ["CredentialRefused"]
    for pod in leader.network.pods.values():
        pod.state = "Healthy"
    await asyncio.sleep(25.0)

    assert [probed.state for probed in leader.view.providers] == ["Healthy"]


async def test_another_pod_is_asked_where_one_does_not_answer(leader: Leader) -> None:
    leader.assign(1)
    await asyncio.sleep(1.0)
    (asked,) = (pod for pod in leader.network.pods.values() if pod.probes)
    asked.down = "gone"
    asked.cut()
    leader.assign(2)
    await asyncio.sleep(60.0)

    others = [pod for pod in leader.network.pods.values() if pod is not asked]
    assert sum(len(pod.probes) for pod in others) == 1


async def test_providers_that_are_gone_are_no_longer_told_of(leader: Leader) -> None:
    leader.fleet.assign(KEY, leader.network.target(document(1, "kimi", "glm")))
    await asyncio.sleep(1.0)
    assert [probed.provider for probed in leader.view.providers] == ["kimi", "glm"]
    leader.fleet.assign(KEY, leader.network.target(document(2, "glm")))
    await asyncio.sleep(30.0)

    assert [probed.provider for probed in leader.view.providers] == ["glm"]
