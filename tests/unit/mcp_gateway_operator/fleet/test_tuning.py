"""What connects the tuner with the pods: when it is asked, who hears it, what is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.unit.mcp_gateway_operator.fleet.network import KEY, FakePod, Network, document

from mcp_gateway.api import AccountLimits
from mcp_gateway.api.control import Config, Grant, Message, Ping, Pong, Report
from mcp_gateway.api.quota import LimitReport
from mcp_gateway_operator.facts import FleetView, Key, Term
from mcp_gateway_operator.fleet import PodFleet
from mcp_gateway_operator.fleet.tuning import (
    HURRY,
    LIVE,
    PROMPT,
    Publication,
    one_of_each,
    urgent,
)
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.tuning import AccountSpec, Change, LimitView, Pace

OTHER = Key("team-b", "web")
SPEC = AccountSpec(
    mode="Auto",
    frozen=False,
    limits=AccountLimits(concurrency=20),
    by_model=False,
    pod_cap=None,
    largest_replicas=2,
)


def limit(**fields: Any) -> LimitReport:
    return LimitReport.model_validate({"provider": "kimi", "account": "a1", **fields})


def report(*limits: LimitReport, **fields: Any) -> Report:
    return Report(requests=0, errors=0, since=1.0, limits=list(limits), **fields)


@dataclass(eq=False)
class TunedPod(FakePod):
    """A pod that takes grants, and answers each by a report."""

    share: int | None = None
    sequence: int = 0
    in_flight: int = 0
    waiting: int = 0
    grants: list[tuple[float, Grant]] = field(default_factory=list)

    def answer(self, message: Message | None) -> list[Message]:
        if isinstance(message, Grant):
            self.grants.append((asyncio.get_running_loop().time(), message))
            if message.epoch < self.epoch or message.sequence <= self.sequence:
                return []
            self.sequence = message.sequence
            self.share = message.quotas[0].share if message.quotas else None
            self.count()
            return [self.report]
        if isinstance(message, Ping):
            return [Pong()]
        answers = super().answer(message)
        if isinstance(message, Config):
            self.count()
            answers.append(self.report)  # which carries the epoch that it has just heard
        return answers

    def count(self) -> None:
        """Bring its report up to date."""
        one = limit(
            share=self.share, limit=self.share or 0, in_flight=self.in_flight, waiting=self.waiting
        )
        self.report = report(one, epoch=self.epoch, sequence=self.sequence)

    def say(self) -> None:
        """Send a report."""
        self.count()
        for wire in self.wires:
            wire.put(self.report.encode())


class Leader:
    """A leadership over fake pods of two gateways that share an account."""

    def __init__(self, *names: str) -> None:
        self.network = Network()
        self.network.pods = {f"ip-{name}": TunedPod(name) for name in names}
        for pod in self.network.pods.values():
            assert isinstance(pod, TunedPod)
            pod.count()
        self.metrics = Metrics()
        self.fleet = PodFleet(dialer=self.network, metrics=self.metrics)
        self.changed: list[Key] = []
        self.announced: list[tuple[Key, Change]] = []
        self.leads = True

    def begin(self, epoch: int = 1, known: dict[tuple[str, str, str], int] | None = None) -> None:
        term = Term(
            epoch, known or {}, leads=lambda: self.leads,
            announce=lambda key, change: self.announced.append((key, change)),
        )  # fmt: skip
        self.fleet.start(self.changed.append, term)

    def pod(self, name: str) -> TunedPod:
        pod = self.network[name]
        assert isinstance(pod, TunedPod)
        return pod

    def assign(self, key: Key, *names: str, spec: AccountSpec = SPEC, epoch: int = 1) -> None:
        born = frozenset(self.network[name].pod.uid for name in names)
        target = self.network.target(
            document(1), *names, epoch=epoch, accounts={"kimi": spec}, born_here=born
        )
        self.fleet.assign(key, target)

    def view(self, key: Key = KEY) -> LimitView:
        (view,) = self.fleet.view(key).limits["kimi"]
        return view

    def said(self) -> int:
        return sum(len(self.pod(name).grants) for name in ("a", "b"))


@pytest.fixture
async def leader() -> AsyncIterator[Leader]:
    leader = Leader("a", "b")
    yield leader
    await leader.fleet.aclose()


async def test_pods_are_told_what_they_may_use_and_people_see_it(leader: Leader) -> None:
    leader.begin()
    leader.assign(KEY, "a", "b")
    await asyncio.sleep(30.0)

    shares = [leader.pod(name).share for name in ("a", "b")]
    assert None not in shares
    assert 0 < sum(share or 0 for share in shares) <= 20
    assert leader.view().ceiling == 20
    assert dict(leader.view().shares) == {"a": shares[0], "b": shares[1]}
    assert KEY in leader.changed


async def test_two_gateways_with_one_key_share_its_account(leader: Leader) -> None:
    leader.begin()
    leader.assign(KEY, "a")
    leader.assign(OTHER, "b")
    await asyncio.sleep(30.0)

    shares = [leader.pod(name).share for name in ("a", "b")]
    assert None not in shares
    assert 0 < sum(share or 0 for share in shares) <= 20
    assert set(leader.view(OTHER).shares) == {"b"}


async def test_a_fleet_at_rest_is_left_in_peace(leader: Leader) -> None:
    leader.begin()
    leader.assign(KEY, "a", "b")
    await asyncio.sleep(600.0)
    leader.changed.clear()
    granted, ticks = leader.said(), ticks_of(leader)
    await asyncio.sleep(3_600.0)

    assert leader.said() == granted
    assert ticks_of(leader) == ticks
    assert leader.changed == []


def ticks_of(leader: Leader) -> float:
    found = leader.metrics.registry.get_sample_value(
        "mcp_gateway_operator_tuning_tick_seconds_count"
    )
    return found or 0.0


async def test_the_tuner_is_asked_once_a_tick_while_pods_report(leader: Leader) -> None:
    leader.begin()
    leader.assign(KEY, "a", "b")
    await asyncio.sleep(10.0)
    before = ticks_of(leader)
    for number in range(100):
        leader.pod("a").in_flight = number % 7
        leader.pod("a").say()
        await asyncio.sleep(0.1)

    assert 9 <= ticks_of(leader) - before <= 11


async def test_waiters_are_looked_at_before_the_tick_but_not_ever_faster(leader: Leader) -> None:
    leader.begin()
    leader.assign(KEY, "a", "b")
    await asyncio.sleep(10.0)
    before = ticks_of(leader)
    for number in range(100):
        leader.pod("a").waiting = number % 2
        leader.pod("a").say()
        await asyncio.sleep(0.1)

    assert 30 <= ticks_of(leader) - before <= 1 + 10.0 / HURRY


async def test_who_does_not_lead_grants_nothing(leader: Leader) -> None:
    leader.begin()
    leader.leads = False
    leader.assign(KEY, "a", "b")
    await asyncio.sleep(30.0)
    assert leader.said() == 0


async def test_the_end_of_a_leadership_ends_its_grants(leader: Leader) -> None:
    leader.begin()
    leader.assign(KEY, "a", "b")
    await asyncio.sleep(30.0)
    granted = leader.said()
    await leader.fleet.aclose()
    await asyncio.sleep(30.0)
    assert leader.said() == granted
    assert all(not pod.wires for pod in leader.network.pods.values())


async def test_a_new_leader_speaks_with_its_own_epoch_and_counts_anew(leader: Leader) -> None:
    leader.begin()
    leader.assign(KEY, "a", "b")
    await asyncio.sleep(30.0)
    await leader.fleet.aclose()
    for name in ("a", "b"):
        leader.pod(name).sequence = 0
    leader.begin(2, {(str(KEY), "kimi", ""): 20})
    leader.assign(KEY, "a", "b", epoch=2)
    await asyncio.sleep(60.0)

    assert {leader.pod(name).grants[-1][1].epoch for name in ("a", "b")} == {2}
    for name in ("a", "b"):
        own = [grant.sequence for _, grant in leader.pod(name).grants if grant.epoch == 2]
        assert own == sorted(set(own))


async def test_a_pod_that_has_ended_is_tuned_no_longer(leader: Leader) -> None:
    leader.begin()
    leader.assign(KEY, "a", "b")
    await asyncio.sleep(30.0)
    target = leader.network.target(document(1), accounts={"kimi": SPEC})
    ended = tuple(replace(pod, ended=pod.name == "b", deleting=True) for pod in target.pods)
    leader.fleet.assign(KEY, replace(target, pods=ended))
    await asyncio.sleep(30.0)

    assert set(leader.view().shares) == {"a"}
    assert leader.pod("a").wires, "a pod that drains goes on to be heard"
    assert not leader.pod("b").wires


async def test_pods_of_a_gateway_that_is_gone_hold_their_part_until_they_end(
    leader: Leader,
) -> None:
    leader.begin()
    leader.assign(KEY, "a")
    leader.assign(OTHER, "b")
    await asyncio.sleep(30.0)
    leader.pod("a").in_flight = held = leader.pod("a").share or 0
    leader.pod("a").say()
    assert held > 0
    draining = (replace(leader.pod("a").pod, deleting=True),)
    leader.fleet.follow(KEY, draining, frozenset())
    leader.pod("b").waiting = 50
    for _ in range(60):
        leader.pod("b").say()
        await asyncio.sleep(1.0)
    assert (leader.pod("b").share or 0) <= 20 - held
    leader.fleet.forget(KEY)
    for _ in range(60):
        leader.pod("b").say()
        await asyncio.sleep(1.0)
    assert leader.pod("b").share == 20
    leader.fleet.follow(KEY, draining, frozenset())
    assert leader.fleet.view(KEY) == FleetView()


async def test_a_tuner_that_fails_is_asked_again(
    leader: Leader, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    leader.begin()
    tuning = leader.fleet._tuning
    assert tuning is not None

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(tuning._tuner, "tick", fails)
        leader.assign(KEY, "a", "b")
        await asyncio.sleep(10.0)
    assert "tuning failed" in caplog.text
    await asyncio.sleep(10.0)
    assert leader.pod("a").share is not None


async def test_series_of_metrics_end_with_their_gateway(leader: Leader) -> None:
    leader.begin()
    leader.assign(KEY, "a", "b")
    await asyncio.sleep(30.0)
    shown = leader.metrics.render().decode()
    labels = 'gateway="web",model="",namespace="team-a",provider="kimi"'
    assert f"mcp_gateway_operator_tuning_ceiling{{{labels}}} 20.0" in shown
    assert 'config_applied_pods{gateway="web",namespace="team-a"} 2.0' in shown
    assert 'config_wanted_pods{gateway="web",namespace="team-a"} 2.0' in shown
    assert leader.metrics.registry.get_sample_value("mcp_gateway_operator_reports_total")
    leader.fleet.forget(KEY)

    assert 'gateway="web"' not in leader.metrics.render().decode()
    assert leader.fleet.view(KEY) == FleetView()


# --- what is shown when ------------------------------------------------------------------


def view(**fields: Any) -> dict[str, tuple[LimitView, ...]]:
    settings: dict[str, Any] = {
        "model": "", "account": "a1", "ceiling": 20, "stated": 20, "granted": 20, "in_flight": 3,
        "waiting": 0, "refused": 0, "warm": 1, "state": "Idle", "reason": "",
    }  # fmt: skip
    return {"kimi": (LimitView(**(settings | fields)),)}


def test_numbers_of_the_moment_are_shown_now_and_then() -> None:
    publication = Publication()
    assert publication.take(view(), 100.0)
    assert not publication.take(view(), 200.0)
    assert publication.take(view(in_flight=4), 201.0)
    assert not publication.take(view(in_flight=5), 201.0 + LIVE - 0.1)
    assert publication.take(view(in_flight=5), 201.0 + LIVE)


@pytest.mark.parametrize("change", [{"ceiling": 12}, {"stated": 10}, {"state": "Frozen"}])
def test_a_ceiling_that_changes_is_shown_soon(change: dict[str, Any]) -> None:
    publication = Publication()
    assert publication.take(view(), 100.0)
    assert not publication.take(view(**change), 100.0 + PROMPT - 0.1)
    assert publication.take(view(**change), 100.0 + PROMPT)


def test_what_comes_and_goes_between_two_looks_is_not_shown() -> None:
    publication = Publication()
    assert publication.take(view(), 100.0)
    assert not publication.take(view(in_flight=9), 101.0)
    assert not publication.take(view(), 110.0)


def test_while_a_key_is_replaced_the_account_that_most_pods_use_is_shown() -> None:
    (old,) = view(account="old", shares={"a": 1, "b": 1})["kimi"]
    (new,) = view(account="new", shares={"c": 1})["kimi"]
    (other,) = view(model="glm-5")["kimi"]
    assert one_of_each([new, other, old]) == (old, other)


async def test_changes_are_dated(leader: Leader) -> None:
    leader.begin()
    tuning = leader.fleet._tuning
    assert tuning is not None
    now = asyncio.get_running_loop().time()
    change = Change("team-a/web", "kimi", "", 20, 12, "refused", now, lowered=True)
    (limits,) = view(recent=[change]).values()
    ((dated,),) = [found.recent for found in tuning._dated(limits)]
    assert abs(dated.at - time.time()) < 3_600.0


# --- what is urgent ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (limit(), limit(in_flight=5), False),
        (limit(), limit(waiting=1), True),
        (limit(waiting=1), limit(waiting=7), False),
        (limit(), limit(rate_waiting=1), True),
        (limit(refusals={"concurrency": 3}), limit(refusals={"concurrency": 3}), False),
        (limit(refusals={"concurrency": 3}), limit(refusals={"concurrency": 4}), True),
        (limit(), limit(refusals={"overload": 4}), False),
    ],
)
def test_new_waiters_and_refusals_are_urgent(
    before: LimitReport, after: LimitReport, expected: bool
) -> None:
    assert urgent(report(before), report(after)) is expected


def test_counts_of_another_process_do_not_compare() -> None:
    older = report(limit(refusals={"concurrency": 9}, waiting=1))
    newer = report(limit(refusals={"concurrency": 1})).model_copy(update={"since": 2.0})
    assert urgent(older, newer)
    assert urgent(None, report(limit(waiting=1)))
    assert not urgent(None, report(limit()))


def test_a_pace_is_what_pods_report_by() -> None:
    assert Pace.of(0.05).tick == 0.05


@pytest.mark.parametrize("mode", ["Off", "Recommend"])
async def test_what_pods_use_on_their_own_is_seen_where_no_limit_is_known(
    leader: Leader, mode: Any
) -> None:
    leader.begin()
    leader.assign(KEY, "a", "b", spec=replace(SPEC, mode=mode, limits=AccountLimits()))
    await asyncio.sleep(5.0)
    for name, in_flight in (("a", 7), ("b", 25)):
        leader.pod(name).in_flight = in_flight
        leader.pod(name).say()
    await asyncio.sleep(10.0)

    assert leader.view().in_flight == 32
    assert leader.said() == 0
