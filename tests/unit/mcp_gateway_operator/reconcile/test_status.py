"""What is written of a gateway, and which of it is news."""

from __future__ import annotations

import dataclasses
from typing import Any

from mcp_gateway_operator.conditions import Facts, Rollout, Verdict, judge
from mcp_gateway_operator.facts import FleetView, Key, Pod, PodConfig, Probed
from mcp_gateway_operator.reconcile import status
from mcp_gateway_operator.tuning import LimitView

KEY = Key("ai", "llm")
SERVING = Facts(
    rollout=Rollout(True, 1, 1, 1),
    pods=(Pod("p", "u", ready=True),),
    generation=2,
    view=FleetView(pods={"p": PodConfig(True, 2)}, providers=(Probed("kimi", "Healthy"),)),
)


def build(facts: Facts, before: dict[str, Any] | None = None, now: str = "t1") -> dict[str, Any]:
    return status.build(KEY, 3, facts, judge(facts), before or {}, tls=False, now=now)


def reasons(facts: Facts, before: dict[str, Any], **more: bool) -> list[tuple[str, str]]:
    told = status.stories(judge(facts), before.get("conditions", []), **more)
    return [(story.type, story.reason) for story in told]


def test_the_same_facts_give_the_same_status() -> None:
    first = build(SERVING)
    assert build(SERVING, first, "t2") == first
    assert first["configApplied"] == "1/1"
    assert first["endpoint"] == "http://llm.ai.svc:8079"
    assert {each["observedGeneration"] for each in first["conditions"]} == {3}


def test_the_time_changes_with_the_status_of_a_condition_only() -> None:
    first = build(SERVING)
    failing = Facts(desired=2, rollout=Rollout(True, 1, 1, 1))
    second = build(failing, first, "t2")
    times = {each["type"]: each["lastTransitionTime"] for each in second["conditions"]}
    assert (times["Ready"], times["Degraded"]) == ("t2", "t1")


def test_what_is_known_of_providers_stays_until_something_else_is() -> None:
    first = build(SERVING)
    quiet = Facts(rollout=SERVING.rollout, pods=SERVING.pods, generation=2)
    assert build(quiet, first)["providers"] == first["providers"]


def test_a_new_leadership_is_no_news() -> None:
    first = build(SERVING)
    silent = Facts(rollout=SERVING.rollout, pods=SERVING.pods, generation=2)
    settled = status.settled(judge(silent), first["conditions"])
    again = status.build(KEY, 3, silent, settled, first, tls=False, now="t2", settling=True)
    assert again == first


def test_the_first_time_all_that_matters_is_told() -> None:
    assert reasons(SERVING, {}) == [
        ("Normal", "Serving"),
        ("Normal", "Applied"),
        ("Normal", "Healthy"),
    ]


def test_progress_is_no_news() -> None:
    before = build(SERVING)
    more = Facts(
        desired=2,
        rollout=Rollout(True, 2, 2, 2),
        pods=SERVING.pods,
        generation=2,
        view=SERVING.view,
    )
    assert reasons(more, before) == []
    assert reasons(more, before, renumbered=True) == [("Normal", "Applied")]


def test_what_is_wrong_is_told_once_for_two_conditions_and_again_when_it_changes() -> None:
    missing = Facts(desired=1, rollout=Rollout(), missing=["Secret kimi does not exist"])
    assert reasons(missing, {}) == [("Warning", "SecretMissing")]
    before = build(missing)
    assert reasons(missing, before) == []
    other = Facts(desired=1, rollout=Rollout(), missing=["Secret kimi has no key x"])
    assert reasons(other, before) == [("Warning", "SecretMissing")]


def test_a_write_is_meant_for_the_version_that_was_looked_at() -> None:
    found = status.resource(KEY, "7", {"replicas": 1})
    assert found["metadata"]["resourceVersion"] == "7"


def test_verdicts_that_are_known_are_not_replaced() -> None:
    verdicts = {"Ready": Verdict("True", "Serving", "yes")}
    assert status.settled(verdicts, [{"type": "Ready", "status": "False"}]) == verdicts


def tuned_facts(state: str, waiting: int = 0) -> Facts:
    limit = LimitView(
        model="", account="a1", ceiling=52, stated=100, granted=52, in_flight=50,
        waiting=waiting, refused=0, warm=0, state=state, reason="",  # type: ignore[arg-type]
    )  # fmt: skip
    view = FleetView(pods=SERVING.view.pods, providers=SERVING.view.providers,
                     limits={"kimi": (limit,)})  # fmt: skip
    return dataclasses.replace(SERVING, view=view, mode="Auto")


def test_numbers_of_the_moment_are_no_news() -> None:
    before = build(tuned_facts("Frozen", waiting=1))
    assert reasons(tuned_facts("Frozen", waiting=1), {})[-1] == ("Warning", "ReportsMissing")
    assert reasons(tuned_facts("Frozen", waiting=7), before) == []
    assert build(tuned_facts("Frozen", waiting=7), before) != before
    assert reasons(tuned_facts("Full"), before) == [("Normal", "Dividing")]


def test_a_new_leader_that_listens_is_no_news() -> None:
    before = build(tuned_facts("Full"))
    listening = tuned_facts("Listening")
    verdicts = status.settled(judge(listening), before["conditions"])
    assert verdicts["Tuned"].reason == "Dividing"
    assert before["tuning"] == "Auto/Full"
