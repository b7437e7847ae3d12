"""Every reason of every condition, by the facts that lead to it."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_gateway_operator.conditions import CHAINS, Facts, Rollout, judge
from mcp_gateway_operator.facts import FleetView, Pod, PodConfig, Probed

READY = Rollout(observed=True, total=1, updated=1, ready=1)
POD = Pod("p", "u", "10.0.0.1", ready=True)
CRASHED = Pod("p", "u", failing="CrashLoopBackOff", message="exit status 1")


def facts(**more: Any) -> Facts:
    return Facts(**{"rollout": READY, "pods": (POD,), "generation": 2, **more})


def view(generation: int = 2, refused: int = 0, **more: Any) -> FleetView:
    problem = "no such layer" if refused else ""
    pod = PodConfig(connected=True, generation=generation, refused=refused, problem=problem)
    return FleetView(pods={"p": pod}, **more)


CASES: list[tuple[str, Facts, str, str]] = [
    ("Ready", facts(), "True", "Serving"),
    ("Ready", facts(invalid="providers: missing"), "False", "InvalidSpec"),
    ("Ready", facts(taken=["Service llm"]), "False", "NameTaken"),
    ("Ready", facts(rollout=None), "False", "Creating"),
    ("Ready", facts(rollout=None, refused=["Deployment llm: no"]), "False", "ApplyRefused"),
    ("Ready", facts(desired=0), "False", "ScaledToZero"),
    ("Ready", facts(desired=2), "False", "PodsNotReady"),
    ("Ready", facts(desired=2, missing=["Secret kimi does not exist"]), "False", "SecretMissing"),
    ("Ready", facts(missing=["Secret kimi does not exist"]), "True", "Serving"),
    ("Ready", facts(desired=2, pods=(CRASHED,)), "False", "CrashLoopBackOff"),
    ("Progressing", facts(), "False", "Complete"),
    ("Progressing", facts(invalid="no"), "False", "InvalidSpec"),
    ("Progressing", facts(paused=True), "False", "Paused"),
    ("Progressing", facts(rollout=None), "True", "Creating"),
    (
        "Progressing",
        facts(rollout=Rollout(stuck="too slow")),
        "False",
        "ProgressDeadlineExceeded",
    ),
    ("Progressing", facts(rollout=Rollout(False, 1, 1, 1)), "True", "RollingOut"),
    ("Progressing", facts(rollout=Rollout(True, 2, 1, 1)), "True", "RollingOut"),
    ("Progressing", facts(rollout=Rollout(True, 1, 1, 0)), "True", "PodsStarting"),
    ("Progressing", facts(view=view(1)), "True", "ConfigRollingOut"),
    ("Progressing", facts(view=view(1, refused=2)), "False", "Complete"),
    ("Progressing", facts(view=view(1, rejected=2)), "False", "Complete"),
    ("ConfigApplied", facts(view=view()), "True", "Applied"),
    ("ConfigApplied", facts(invalid="no"), "False", "InvalidSpec"),
    ("ConfigApplied", facts(pods=()), "Unknown", "NoPods"),
    ("ConfigApplied", facts(), "Unknown", "NotConnected"),
    ("ConfigApplied", facts(view=view(1)), "False", "Pending"),
    ("ConfigApplied", facts(view=view(1, refused=2)), "False", "ConfigRefused"),
    ("ConfigApplied", facts(view=view(1, refused=1)), "False", "Pending"),
    ("ConfigApplied", facts(view=view(1, rejected=2, rejection="errors")), "False", "RolledBack"),
    ("ProvidersReachable", facts(), "Unknown", "NotProbed"),
    (
        "ProvidersReachable",
        facts(view=FleetView(providers=(Probed("kimi", "Healthy"),))),
        "True",
        "Healthy",
    ),
    (
        "ProvidersReachable",
        facts(view=FleetView(providers=(Probed("kimi", "CredentialRefused", "401"),))),
        "False",
        "CredentialRefused",
    ),
    ("Degraded", facts(), "False", "AsExpected"),
    ("Degraded", facts(invalid="no"), "True", "InvalidSpec"),
    ("Degraded", facts(taken=["Service llm"]), "True", "NameTaken"),
    ("Degraded", facts(missing=["Secret kimi does not exist"]), "True", "SecretMissing"),
    ("Degraded", facts(refused=["Deployment llm: no"]), "True", "ApplyRefused"),
    ("Degraded", facts(unavailable=["HTTPRoute"]), "True", "APIMissing"),
    ("Degraded", facts(view=view(1, refused=2)), "True", "ConfigRefused"),
    ("Degraded", facts(view=view(1, rejected=2)), "True", "RolledBack"),
    ("Degraded", facts(pods=(CRASHED,)), "True", "CrashLoopBackOff"),
    (
        "Degraded",
        facts(desired=2, rollout=Rollout(True, 2, 2, 1, "stuck")),
        "True",
        "ProgressDeadlineExceeded",
    ),
    ("Degraded", facts(desired=2), "False", "AsExpected"),
    (
        "Degraded",
        facts(view=FleetView(providers=(Probed("kimi", "Unreachable"),))),
        "True",
        "Unreachable",
    ),
]


@pytest.mark.parametrize(("name", "seen", "state", "reason"), CASES)
def test_facts_lead_to_a_reason(name: str, seen: Facts, state: str, reason: str) -> None:
    verdict = judge(seen)[name]
    assert (verdict.state, verdict.reason) == (state, reason)
    assert verdict.message


def test_every_chain_ends_with_a_check_that_always_speaks() -> None:
    for chain in CHAINS.values():
        assert chain[-1](facts()) is not None


def test_pods_on_their_way_out_do_not_count() -> None:
    leaving = Pod("old", "v", deleting=True, failing="Error")
    seen = facts(pods=(POD, leaving), view=view())
    assert judge(seen)["ConfigApplied"].message.endswith("1 of 1")
    assert judge(seen)["Degraded"].state == "False"


def test_many_sentences_are_cut_with_their_number() -> None:
    missing = [f"Secret s{number} does not exist" for number in range(8)]
    assert judge(facts(missing=missing))["Degraded"].message.endswith("and 3 more")


def test_several_failing_pods_are_one_sentence() -> None:
    pods = (CRASHED, Pod("q", "w", failing="Error"))
    assert "(2 pods in all)" in judge(facts(pods=pods))["Degraded"].message
