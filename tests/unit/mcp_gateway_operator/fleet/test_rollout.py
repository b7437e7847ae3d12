from __future__ import annotations

import random
from dataclasses import replace

import pytest

from mcp_gateway.api import Canary
from mcp_gateway.api.control import Report
from mcp_gateway_operator.fleet.rollout import (
    ANSWER,
    Decision,
    PodFacts,
    Trial,
    decide,
    lowest_rate,
)

CANARY = Canary(pods=1, window=60.0, max_error_increase=0.02)


def counts(requests: int = 0, errors: int = 0, since: float = 1.0) -> Report:
    return Report(requests=requests, errors=errors, since=since)


class Fleet:
    """Pods that do as they are told, and a clock."""

    def __init__(self, *names: str, canary: Canary = CANARY) -> None:
        self.pods = {name: PodFacts(generation=1, report=counts()) for name in names}
        self.canary = canary
        self.trial = Trial(2)
        self.now = 100.0
        self.asked = 0

    def look(self, after: float = 0.0) -> Decision:
        self.now += after
        decision = decide(self.trial, self.canary, self.pods, self.now)
        self.trial = decision.trial
        self.asked += decision.ask
        return decision

    def change(self, name: str, **fields: object) -> None:
        self.pods[name] = replace(self.pods[name], **fields)  # type: ignore[arg-type]

    def obey(self) -> None:
        """The chosen pods run the candidate."""
        for name in self.trial.pods:
            self.change(name, generation=2)

    def serve(self, name: str, requests: int, errors: int) -> None:
        before = self.pods[name].report
        assert before is not None
        after = counts(before.requests + requests, before.errors + errors, before.since)
        self.change(name, report=after)

    def watch(self) -> None:
        """Go on until the window is open."""
        self.look()
        self.obey()
        assert self.look().ask
        assert self.look(ANSWER).trial.phase == "watching"

    def end(self) -> Decision:
        """Go on to the end of the window."""
        assert self.look(self.canary.window).ask
        return self.look(ANSWER)


def test_a_candidate_goes_to_one_pod_first() -> None:
    fleet = Fleet("a", "b", "c")

    assert fleet.look().trial.pods == {"a"}
    assert fleet.look(600.0).verdict == "wait", "the window opens when the pod runs it"
    fleet.obey()
    assert fleet.look().trial.phase == "settling"


def test_a_candidate_that_does_no_harm_is_promoted_at_the_end_of_its_window() -> None:
    fleet = Fleet("a", "b")
    fleet.watch()
    fleet.serve("a", 100, 1)
    fleet.serve("b", 100, 1)
    assert fleet.look(CANARY.window - 0.1).verdict == "wait"
    decision = fleet.end()

    assert decision.verdict == "promote"
    assert decision.reason == (
        "1 of 100 requests failed within 60 s, 1 of 100 requests failed without it"
    )
    assert fleet.asked == 2


def test_a_candidate_that_fails_is_taken_back_before_the_window_ends() -> None:
    fleet = Fleet("a", "b")
    fleet.watch()
    fleet.serve("a", 50, 20)
    fleet.serve("b", 50, 1)
    decision = fleet.look(5.0)

    assert decision.verdict == "reject"
    assert decision.reason == (
        "20 of 50 requests failed on a, 1 of 50 requests failed without it; allowed are 2.0% more"
    )


def test_what_is_beyond_chance_at_the_end_is_not_yet_in_the_middle() -> None:
    fleet = Fleet("a", "b")
    fleet.watch()
    fleet.serve("a", 40, 3)
    fleet.serve("b", 40, 0)

    assert fleet.look(5.0).verdict == "wait"
    assert fleet.end().verdict == "reject"


def test_a_single_failure_may_be_chance() -> None:
    fleet = Fleet("a", "b")
    fleet.watch()
    fleet.serve("a", 30, 1)
    fleet.serve("b", 30, 0)

    assert fleet.end().verdict == "promote"


def test_failures_of_everybody_are_not_the_candidates() -> None:
    fleet = Fleet("a", "b")
    fleet.watch()
    fleet.serve("a", 100, 60)
    fleet.serve("b", 100, 60)

    assert fleet.end().verdict == "promote"


def test_failures_from_before_the_window_do_not_count() -> None:
    fleet = Fleet("a", "b")
    fleet.change("a", report=counts(1000, 900))
    fleet.watch()
    fleet.serve("a", 100, 0)

    assert fleet.end().verdict == "promote"


def test_an_idle_gateway_can_be_changed() -> None:
    fleet = Fleet("a", "b")
    fleet.watch()

    assert fleet.end().verdict == "promote"


def test_a_pod_that_is_alone_is_compared_with_its_own_past() -> None:
    fleet = Fleet("a")
    fleet.change("a", report=counts(1000, 500))
    fleet.watch()
    fleet.serve("a", 100, 52)
    assert fleet.end().verdict == "promote"

    fleet = Fleet("a")
    fleet.change("a", report=counts(1000, 5))
    fleet.watch()
    fleet.serve("a", 100, 52)
    assert fleet.look(1.0).verdict == "reject"


@pytest.mark.parametrize(
    ("wanted", "there", "chosen"), [(2, 5, 2), (9, 5, 4), (1, 1, 1), (5, 2, 1)]
)
def test_one_pod_stays_to_compare_with(wanted: int, there: int, chosen: int) -> None:
    fleet = Fleet(*(f"pod-{number}" for number in range(there)), canary=Canary(pods=wanted))

    assert len(fleet.look().trial.pods) == chosen


def test_where_no_pod_serves_there_is_nothing_to_protect() -> None:
    assert Fleet().look().verdict == "promote"
    fleet = Fleet("a", "b")
    fleet.change("a", serves=False)
    fleet.change("b", serves=False)
    assert fleet.look().verdict == "promote"


def test_a_pod_that_cannot_be_heard_is_not_chosen() -> None:
    fleet = Fleet("a", "b", "c")
    fleet.change("a", connected=False)
    assert fleet.look().trial.pods == {"b"}

    silent = Fleet("a", "b")
    silent.change("a", connected=False)
    silent.change("b", connected=False)
    assert (silent.look().verdict, silent.trial.pods) == ("wait", frozenset())
    silent.change("b", connected=True)
    assert silent.look().trial.pods == {"b"}


def test_a_pod_that_runs_something_unpromoted_is_chosen_first() -> None:
    fleet = Fleet("a", "b", "c")
    fleet.change("c", generation=3)
    fleet.trial = Trial(4)

    assert fleet.look().trial.pods == {"c"}


def test_a_refusal_takes_the_candidate_back() -> None:
    fleet = Fleet("a", "b")
    fleet.look()
    fleet.change("a", refused="spec.routes: is empty")

    decision = fleet.look()
    assert (decision.verdict, decision.reason) == (
        "reject",
        "pod a refused it: spec.routes: is empty",
    )


def test_a_restart_takes_the_candidate_back() -> None:
    fleet = Fleet("a", "b")
    fleet.watch()
    fleet.change("a", report=counts(since=2.0), generation=1)

    assert fleet.look().reason == "pod a restarted while it was tried there"


def test_a_container_that_does_not_run_takes_the_candidate_back() -> None:
    fleet = Fleet("a", "b")
    fleet.watch()
    fleet.change("a", failing="CrashLoopBackOff", connected=False)

    assert fleet.look().reason == "pod a does not run with it: CrashLoopBackOff"


def test_a_pod_that_is_not_ready_at_the_end_takes_the_candidate_back() -> None:
    fleet = Fleet("a", "b")
    fleet.watch()
    fleet.change("a", serves=False)

    assert fleet.end().reason == "pod a is not ready with it"


def test_a_pod_that_fell_silent_is_not_judged_by_its_last_words() -> None:
    fleet = Fleet("a", "b")
    fleet.watch()
    fleet.change("a", connected=False)
    assert fleet.end().verdict == "wait"
    assert fleet.look(600.0).verdict == "wait"
    fleet.change("a", connected=True)
    fleet.serve("a", 10, 10)

    assert fleet.look(ANSWER).verdict == "reject"


def test_a_pod_that_is_deleted_is_replaced_and_the_window_begins_anew() -> None:
    fleet = Fleet("a", "b", "c")
    fleet.watch()
    del fleet.pods["a"]
    decision = fleet.look(30.0)

    assert (decision.verdict, decision.trial.phase) == ("wait", "spreading")
    assert decision.trial.pods == {"b"}


def test_pods_that_come_later_are_not_compared_with() -> None:
    fleet = Fleet("a", "b")
    fleet.watch()
    fleet.pods["late"] = PodFacts(generation=1, report=counts(100, 100))
    fleet.serve("a", 100, 50)

    assert fleet.look(1.0).verdict == "reject"


def test_another_pods_restart_does_not_disturb_the_comparison() -> None:
    fleet = Fleet("a", "b", "c")
    fleet.watch()
    fleet.change("b", report=counts(5, 5, since=9.0))
    fleet.serve("a", 100, 3)
    fleet.serve("c", 100, 3)

    assert fleet.end().verdict == "promote"


def test_the_lowest_rate_is_cautious() -> None:
    assert lowest_rate(0, 0, 1.645) == 0.0
    assert lowest_rate(0, 100, 1.645) == 0.0
    assert lowest_rate(1, 10, 1.645) < 0.03
    assert 0.04 < lowest_rate(10, 100, 1.645) < 0.1
    assert lowest_rate(500, 1000, 3.0) == pytest.approx(0.4528, abs=0.001)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_a_trial_ends_or_waits_for_somebody(seed: int) -> None:
    rng = random.Random(seed)
    fleet = Fleet(*"abcd"[: rng.randint(1, 4)])
    for _ in range(300):
        names = list(fleet.pods)
        event = rng.randrange(8)
        name = rng.choice(names) if names else "a"
        if event == 0 and names:
            fleet.serve(name, rng.randint(1, 50), 0)
        elif event == 1 and names:
            fleet.change(name, connected=rng.random() < 0.8)
        elif event == 2 and len(names) > 1 and rng.random() < 0.2:
            del fleet.pods[name]
        elif event == 3 and rng.random() < 0.2:
            fleet.pods[f"new-{len(names)}"] = PodFacts(generation=1, report=counts())
        else:
            fleet.obey() if all(n in fleet.pods for n in fleet.trial.pods) else None
        decision = fleet.look(rng.random() * 10)
        assert decision.trial.pods <= fleet.pods.keys()
        if decision.verdict != "wait":
            assert decision.verdict == "promote", decision.reason
            return
    # Only a pod that nobody hears may hold a trial up for so long.
    assert any(not pod.connected for pod in fleet.pods.values())
