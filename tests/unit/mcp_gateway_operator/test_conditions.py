"""Every reason of every condition, by the facts that lead to it."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_gateway.api import status
from mcp_gateway_operator.conditions import CHAINS, LONGEST, Facts, Rollout, judge
from mcp_gateway_operator.facts import FleetView, Pod, PodConfig, Probed
from mcp_gateway_operator.tuning import LimitView, RateView, Recommendation

READY = Rollout(observed=True, total=1, updated=1, ready=1)
POD = Pod("p", "u", "10.0.0.1", ready=True)
CRASHED = Pod("p", "u", failing="CrashLoopBackOff", message="exit status 1")


def facts(**more: Any) -> Facts:
    return Facts(**{"rollout": READY, "pods": (POD,), "generation": 2, **more})


def view(generation: int = 2, refused: int = 0, **more: Any) -> FleetView:
    problem = "no such layer" if refused else ""
    pod = PodConfig(connected=True, generation=generation, refused=refused, problem=problem)
    return FleetView(pods={"p": pod}, **more)


def limit(**fields: Any) -> LimitView:
    settings: dict[str, Any] = {
        "model": "", "account": "a1", "ceiling": 52, "stated": 100, "granted": 52, "in_flight": 50,
        "waiting": 3, "refused": 14, "warm": 12, "state": "Holding",
        "reason": "14 concurrency refusals in 2 s at 52 in flight",
        "shares": {"web-2": 26, "web-1": 26},
    }  # fmt: skip
    return LimitView(**(settings | fields))


def tuned(*limits: LimitView, mode: str = "Auto", **more: Any) -> Facts:
    return facts(mode=mode, view=view(limits={"kimi": limits} if limits else {}), **more)


ADVICE = Recommendation(10, 40, 52, "7 a second for 6 s each")

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
    ("Tuned", tuned(limit(), mode="Off"), "Unknown", "NotTuned"),
    ("Tuned", tuned(), "Unknown", "AwaitingPods"),
    ("Tuned", tuned(frozen=True), "False", "Frozen"),
    ("Tuned", tuned(limit(), frozen=True), "False", "Frozen"),
    ("Tuned", tuned(limit(state="Frozen"), limit(state="Idle")), "False", "ReportsMissing"),
    ("Tuned", tuned(limit(state="Listening")), "Unknown", "Listening"),
    ("Tuned", tuned(limit(recommendation=ADVICE), mode="Recommend"), "True", "Recommending"),
    ("Tuned", tuned(limit()), "True", "Dividing"),
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


def test_no_pod_has_so_much_to_say_that_the_status_cannot_be_written() -> None:
    talkative = PodConfig(connected=True, generation=1, refused=2, problem="no such layer; " * 9999)
    verdicts = judge(facts(view=FleetView(pods={"p": talkative})))
    for name in ("ConfigApplied", "Degraded"):
        message = verdicts[name].message
        assert (len(message), message[-1]) == (LONGEST, "…")
    status.Condition(
        type="Degraded", status="True", reason="ConfigRefused", message=message,
        last_transition_time="2026-01-01T00:00:00Z",
    )  # fmt: skip


def test_several_failing_pods_are_one_sentence() -> None:
    pods = (CRASHED, Pod("q", "w", failing="Error"))
    assert "(2 pods in all)" in judge(facts(pods=pods))["Degraded"].message


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({},
         "kimi: ceiling 52 (stated 100): 14 concurrency refusals in 2 s at 52 in flight;"
         " shares 26+26; 50 in flight; 3 waiting"),
        ({"stated": None, "reason": "", "shares": {"web-1": 52}, "waiting": 0},
         "kimi: ceiling 52 (learned); share 52; 50 in flight"),
        ({"stated": 52, "reason": "", "shares": {f"web-{n}": n for n in range(40)}, "waiting": 0},
         "kimi: ceiling 52 (as stated); 40 shares of 0 to 39; 50 in flight"),
        ({"model": "glm-5", "ceiling": None, "reason": "", "shares": {}, "waiting": 0,
          "requests": RateView(500, 500, 480)},
         "kimi glm-5: no ceiling is known; 480 of 500 requests a minute; 50 in flight"),
        ({"recommendation": ADVICE}, "kimi: 40 recommended: 7 a second for 6 s each"),
    ],
)  # fmt: skip
def test_a_person_reads_why_a_pool_has_its_size(fields: dict[str, Any], sentence: str) -> None:
    assert judge(tuned(limit(**fields)))["Tuned"].message == sentence


def test_where_models_are_limited_by_themselves_the_account_is_not_told() -> None:
    account = limit(ceiling=None, stated=None, shares={}, reason="")
    message = judge(tuned(account, limit(model="glm-5")))["Tuned"].message
    assert message.startswith("kimi glm-5: ceiling 52")
    assert message.count("kimi") == 1
