"""The tuner as a whole, with pods that do what they are told."""

from __future__ import annotations

from tests.unit.mcp_gateway_operator.tuning.fleet import GATEWAY, FakeFleet, FakePod, spec

from mcp_gateway.api import AccountLimits, ModelLimits
from mcp_gateway.api.quota import LimitReport
from mcp_gateway_operator.tuning import AccountSpec, Pace, Tuner

NO_LIMITS = AccountLimits()


def test_no_pods_are_no_trouble() -> None:
    fleet = FakeFleet(0)
    decision = fleet.tick(3)
    assert not decision.grants
    assert not decision.views


def test_a_stated_limit_is_divided_among_new_pods_and_an_idle_fleet_is_left_in_peace() -> None:
    fleet = FakeFleet(4)
    fleet.tick(3)
    assert fleet.shares == [25, 25, 25, 25]
    sent = fleet.sent
    fleet.tick(600)
    assert fleet.sent == sent


def test_slots_go_to_where_requests_wait_and_only_when_somebody_gave_them_up() -> None:
    fleet = FakeFleet(4)
    fleet.tick(3)
    busy, *idle = fleet.pods
    busy.use(25, waiting=60)
    for _ in range(4):
        fleet.tick()
        assert sum(fleet.shares) <= 100
        busy.use(busy.share, waiting=60)
    assert busy.share > 80
    assert all(pod.share >= 1 for pod in idle)


def test_a_slot_that_does_not_go_round_wanders_not_with_who_waits_most() -> None:
    fleet = FakeFleet(8)
    fleet.tick(3)
    for pod in fleet.pods:
        pod.use(pod.share, waiting=50)
    fleet.tick(3)
    assert sorted(fleet.shares) == [12] * 4 + [13] * 4
    sent = fleet.sent
    for second in range(20):
        for number, pod in enumerate(fleet.pods):
            pod.use(pod.share, waiting=20 + (number + second) % 8)
        fleet.tick()
    assert fleet.sent == sent


def test_a_pod_that_drains_holds_what_it_has_in_flight() -> None:
    fleet = FakeFleet(2)
    fleet.tick(3)
    first, second = fleet.pods
    first.use(50, waiting=0)
    second.use(50, waiting=100)
    first.deleting = True
    fleet.tick(2)
    assert (first.share, second.share) == (0, 50)
    first.use(10)
    fleet.tick(2)
    assert second.share == 90
    fleet.pods.remove(first)
    fleet.tick(2)
    assert second.share == 100


def test_a_silent_pod_keeps_its_share() -> None:
    fleet = FakeFleet(4)
    fleet.tick(3)
    fleet.pods[0].connected = False
    for pod in fleet.pods[1:]:
        pod.use(25, waiting=50)
    fleet.tick(10)
    assert sum(pod.share for pod in fleet.pods[1:]) == 75


def test_a_grant_that_is_not_acknowledged_counts_and_is_said_again() -> None:
    fleet = FakeFleet(2)
    fleet.pods[0].deaf = True
    fleet.pods[1].use(0, waiting=200)
    decision = fleet.tick(2)
    assert fleet.pods[1].share <= 99, "what the deaf one was sent was given away"
    for _ in range(4):
        decision = fleet.tick()
        if decision.grants:
            break
    assert "uid-pod-0" in decision.grants
    assert decision.grants["uid-pod-0"].sequence == 2


def test_more_pods_than_slots_leave_them_with_one_and_the_others_know_where() -> None:
    fleet = FakeFleet(8, spec(1, rpm=3))
    fleet.tick(3)
    assert sorted(fleet.shares) == [0] * 7 + [1]
    holder = next(pod for pod in fleet.pods if pod.share)
    assert holder.quota() is not None
    for pod in fleet.pods:
        assert pod.grant is not None
        peers = [peer.address for peer in pod.grant.peers]
        assert peers == ([] if pod is holder else [f"{holder.name}:9082"])
        quota = pod.quota()
        assert quota is not None
        assert quota.requests_per_minute == (3 if pod is holder else 0)
    for pod in fleet.pods:
        pod.use(pod.share, waiting=5)
    sent = fleet.sent
    fleet.tick(100)
    assert fleet.sent == sent, "the slot wandered, or nothing was said many times"


def test_the_slot_moves_when_its_holder_goes() -> None:
    fleet = FakeFleet(3, spec(1))
    fleet.tick(3)
    holder = next(pod for pod in fleet.pods if pod.share)
    holder.use(1)
    holder.deleting = True
    fleet.tick(3)
    others = [pod for pod in fleet.pods if pod is not holder]
    assert sum(pod.share for pod in others) == 0
    fleet.pods.remove(holder)
    fleet.tick(2)
    assert sorted(fleet.shares) == [0, 1]


def test_two_gateways_with_one_slot_take_turns() -> None:
    fleet = FakeFleet(2, spec(1))
    fleet.pods[1].gateway = "shop/other"
    fleet.specs["shop/other", "kimi"] = spec(1)
    had = set()
    for _ in range(60):
        for pod in fleet.pods:
            pod.use(pod.share, waiting=3)
        fleet.tick()
        assert sum(fleet.shares) <= 1
        had |= {pod.name for pod in fleet.pods if pod.share}
    assert had == {"pod-0", "pod-1"}


def test_two_gateways_with_one_key_share_the_smaller_limit() -> None:
    fleet = FakeFleet(4, spec(100))
    for pod in fleet.pods[2:]:
        pod.gateway = "shop/other"
    fleet.specs["shop/other", "kimi"] = spec(40)
    fleet.tick(4)
    assert sum(fleet.shares) == 40
    assert fleet.view(("shop/other", "kimi")).stated == 40


def test_a_cap_of_one_pod_is_kept() -> None:
    fleet = FakeFleet(2, spec(100, pod_cap=30))
    for _ in range(5):
        for pod in fleet.pods:
            pod.use(pod.share, waiting=100)
        fleet.tick()
    assert fleet.shares == [30, 30]


def test_an_unknown_limit_begins_with_two_for_each_pod_and_grows_while_requests_wait() -> None:
    fleet = FakeFleet(2, spec(None))
    fleet.tick(2)
    assert fleet.view().ceiling == 4
    fleet.tick(30)
    assert fleet.view().ceiling == 4, "it grew though nobody needed it"
    for _ in range(12):
        for pod in fleet.pods:
            pod.use(pod.share, waiting=10)
        fleet.tick()
    assert (fleet.view().ceiling or 0) > 20


def test_a_refusal_lowers_the_ceiling_and_says_so_at_once() -> None:
    fleet = FakeFleet(2)
    fleet.tick(3)
    for pod in fleet.pods:
        pod.use(40)
    fleet.tick()
    fleet.changes.clear()
    fleet.pods[0].refuse(30, total=14)
    fleet.tick()
    assert fleet.changes == [
        "kimi: ceiling 100 → 70: 14 concurrency refusals in 1 s at 70 in flight"
    ]
    assert fleet.view().state == "Holding"


def test_a_pod_that_was_refused_is_spoken_to_again() -> None:
    fleet = FakeFleet(2)
    fleet.tick(3)
    for pod in fleet.pods:
        pod.use(50, waiting=10)
    fleet.tick()
    pod = fleet.pods[0]
    sequence = pod.sequence
    pod.refuse(49, total=1)
    fleet.tick(3)
    assert pod.sequence > sequence
    assert pod.limit.in_flight_at_refusal is None


def test_a_provider_that_refuses_everything_is_asked_ever_more_rarely() -> None:
    fleet = FakeFleet(1, spec(10))
    fleet.tick(2)
    total, tries = 0, []
    for second in range(300):
        pod = fleet.pods[0]
        if pod.limit.in_flight_at_refusal is None and pod.share:
            total += 1
            tries.append(second)
            pod.refuse(0, total)
            pod.use(0, waiting=5)
        fleet.tick()
    assert fleet.view().ceiling == 1
    assert len(tries) < 20
    assert tries[-1] - tries[-2] > 20


def test_overload_rates_and_slowness_move_nothing() -> None:
    fleet = FakeFleet(2)
    fleet.tick(3)
    for second in range(1, 60):
        for pod in fleet.pods:
            pod.say(in_flight=50, waiting=5, refusals={"overload": second, "tokens": second},
                    completions=second, service_seconds=500.0 * second)  # fmt: skip
        fleet.tick()
    assert fleet.view().ceiling == 100


def test_a_frozen_ceiling_stays_while_dividing_goes_on() -> None:
    fleet = FakeFleet(2, spec(100, frozen=True))
    fleet.tick(3)
    fleet.pods[0].use(50, waiting=100)
    fleet.pods[1].use(2)
    fleet.pods[1].refuse(1, total=5)
    fleet.tick(5)
    view = fleet.view()
    assert (view.ceiling, view.state) == (100, "Frozen")
    assert fleet.pods[0].share > 50


def test_too_many_silent_pods_freeze_the_ceiling() -> None:
    fleet = FakeFleet(3)
    fleet.tick(3)
    fleet.pods[0].connected = fleet.pods[1].connected = False
    fleet.pods[2].refuse(3, total=5)
    fleet.tick(2)
    view = fleet.view()
    assert (view.ceiling, view.state) == (100, "Frozen")
    assert "2 of 3 pods are not heard" in view.reason


def test_a_tier_that_changes_is_followed_at_once() -> None:
    fleet = FakeFleet(4)
    fleet.tick(3)
    fleet.restate(limits=AccountLimits(concurrency=40))
    fleet.tick(3)
    assert sum(fleet.shares) == 40
    fleet.restate(limits=AccountLimits(concurrency=200))
    fleet.tick(12)
    assert sum(fleet.shares) == 200
    assert any("40" in change for change in fleet.changes)


def test_another_key_begins_at_nothing_and_gives_up_the_share_of_the_former() -> None:
    fleet = FakeFleet(2)
    fleet.tick(3)
    turned, other = fleet.pods
    turned.say(account="b", share=0, limit=0)
    fleet.tick()
    quota = turned.quota()
    assert quota is not None
    assert (quota.account, quota.share) == ("b", 100)
    other.use(50, waiting=100)
    fleet.tick(2)
    assert other.share == 100


def test_what_runs_on_a_former_key_counts_against_it() -> None:
    fleet = FakeFleet(2)
    fleet.tick(3)
    turned, other = fleet.pods
    turned.say(account="b", share=0, limit=0)
    turned.others = [LimitReport(provider="kimi@a", account="a", share=0, in_flight=30)]
    other.use(50, waiting=100)
    fleet.tick(3)
    assert other.share == 70


def test_a_provider_that_is_removed_is_no_longer_granted_nor_shown() -> None:
    fleet = FakeFleet(2)
    fleet.tick(3)
    del fleet.specs[GATEWAY, "kimi"]
    decision = fleet.tick(5)
    assert not decision.views
    assert not decision.grants


def test_recommend_says_what_it_would_do_and_grants_nothing() -> None:
    fleet = FakeFleet(2, spec(100, mode="Recommend"))
    for second in range(1, 60):
        for pod in fleet.pods:
            pod.say(share=None, limit=30, in_flight=20, arrivals=3 * second,
                    completions=3 * second, service_seconds=21.0 * second)  # fmt: skip
        assert not fleet.tick().grants
    found = fleet.view().recommendation
    assert found is not None
    assert found.lower in range(45, 60)
    assert (found.target, found.upper) == (100, 100)
    assert "requests/s" in found.reason


def test_off_grants_nothing_and_shows_all_the_same() -> None:
    fleet = FakeFleet(2, spec(100, mode="Off"))
    fleet.pods[0].use(7, waiting=2)
    assert not fleet.tick().grants
    view = fleet.view()
    assert (view.in_flight, view.waiting, view.recommendation) == (7, 2, None)


def test_a_mode_that_is_turned_off_ends_the_grants_and_on_begins_them_from_none() -> None:
    fleet = FakeFleet(2)
    fleet.tick(3)
    fleet.restate(mode="Off")
    for pod in fleet.pods:
        pod.say(share=None, limit=100, in_flight=60)
    assert not fleet.tick(5).grants
    fleet.restate(mode="Auto")
    for pod in fleet.pods:
        pod.use(60)
    fleet.tick(3)
    assert sum(max(pod.share, pod.limit.in_flight) for pod in fleet.pods) <= 120
    assert sum(fleet.shares) <= 100


def test_a_new_leader_goes_on_from_the_ceiling_and_takes_nothing_from_whom_it_has_not_heard() -> (
    None
):
    fleet = FakeFleet(3, known={(GATEWAY, "kimi", ""): 60})
    for pod, share in zip(fleet.pods, (20, 20, 20), strict=True):
        pod.born_here = False
        pod.say(share=share, limit=share, in_flight=share, waiting=50)
        pod.epoch, pod.sequence = 1, 0
    fleet.pods[2].epoch = 0  # it has not heard of the new leader
    view = fleet.view()
    assert (view.ceiling, view.state) == (60, "Listening")
    fleet.tick(50)
    assert fleet.shares[0] in {0, 20}
    assert sum(pod.share or 20 for pod in fleet.pods) <= 60
    fleet.pods[2].epoch = 1
    fleet.pods[2].say()
    fleet.tick(5)
    assert fleet.view().state != "Listening"
    assert not fleet.changes


def test_a_word_of_another_leadership_is_not_believed() -> None:
    fleet = FakeFleet(2)
    fleet.tick(3)
    fleet.pods[0].epoch, fleet.pods[0].sequence = 2, 1
    fleet.pods[0].say(share=0, in_flight=0)
    fleet.pods[1].use(50, waiting=100)
    fleet.tick(5)
    assert fleet.pods[1].share == 50


def test_absurd_numbers_starve_nobody() -> None:
    fleet = FakeFleet(4)
    liar, *others = fleet.pods
    for second in range(30):
        most = 2**53
        liar.say(share=most, limit=most, in_flight=most, waiting=most, rate_waiting=0,
                 arrivals=most - second, completions=second % 3)  # fmt: skip
        for pod in others:
            pod.use(pod.share, waiting=20)
        fleet.tick()
        assert sum(fleet.shares) <= 100
    assert min(pod.share for pod in others) >= 15


def test_counts_that_go_backward_are_another_process() -> None:
    fleet = FakeFleet(2)
    fleet.tick(3)
    pod = fleet.pods[0]
    pod.say(arrivals=1000, completions=1000, service_seconds=7000.0, refusals={"concurrency": 9})
    fleet.tick()
    fleet.tick(70)
    before = fleet.view().ceiling
    pod.since = 2.0
    pod.say(arrivals=1, completions=0, service_seconds=0.0, refusals={})
    fleet.tick(3)
    assert fleet.view().ceiling == before


def test_each_model_is_a_limit_of_its_own_where_the_provider_says_so() -> None:
    limits = AccountLimits(by_model={"glm-5": ModelLimits(concurrency=30)})
    fleet = FakeFleet(2)
    fleet.specs = {(GATEWAY, "glm"): AccountSpec("Auto", False, limits, True, None, 8)}
    for pod in fleet.pods:
        pod.limit = LimitReport(provider="glm", account="g", limit=1000)
        pod.others = [LimitReport(provider="glm", model="glm-4", account="g", limit=2)]
    decision = fleet.tick(3)
    for pod in fleet.pods:
        root, stated, learned = pod.quota(), pod.quota("glm-5"), pod.quota("glm-4")
        assert root is not None
        assert root.share is None
        assert stated is not None
        assert stated.share == 15
        assert learned is not None
        assert learned.share == 2
    models = [view.model for view in decision.views[GATEWAY, "glm"]]
    assert models == ["", "glm-4", "glm-5"]


def test_accounts_that_nobody_uses_are_forgotten() -> None:
    fleet = FakeFleet(1)
    pace = Pace()
    for number in range(50):
        fleet.pods[0].say(account=f"key-{number}", share=0)
        fleet.tick()
    fleet.now += pace.linger
    fleet.tick()
    assert len(fleet.tuner._limits) == 1


def test_warm_follows_demand_and_never_exceeds_the_share() -> None:
    fleet = FakeFleet(2)
    for second in range(1, 60):
        pod = fleet.pods[0]
        pod.say(in_flight=14, arrivals=2 * second, completions=2 * second,
                service_seconds=14.0 * second)  # fmt: skip
        fleet.tick()
    quota = fleet.pods[0].quota()
    assert quota is not None
    assert quota.warm is not None
    assert 14 <= quota.warm <= 25


def test_pods_that_came_during_this_leadership_hold_nothing_before_they_are_heard() -> None:
    fleet = FakeFleet(2)
    fleet.tick(3)
    late = FakePod("late")
    late.epoch = 0
    fleet.pods.append(late)
    for pod in fleet.pods[:2]:
        pod.use(pod.share, waiting=80)
    fleet.tick(3)
    assert sum(fleet.shares) == 100


def test_an_empty_pace_is_the_same_law_at_another_speed() -> None:
    assert Pace.of(1.0) == Pace()
    assert Pace.of(0.1).hold == 0.5
    assert Pace.of(0.1).minute == Pace().minute
    assert Tuner(Pace.of(0.1), 1).tick(0.0, [], {}).changes == []
