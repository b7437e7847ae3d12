"""What is true of a gateway: each condition a chain of pure checks, the first that speaks wins.

A check looks at the facts and either gives a verdict or passes. A chain reads as the list of
reasons a condition can have, most serious first, and ends with a check that always speaks.
Every reason is described in the reference of conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from mcp_gateway_operator.evidence import Facts, Rollout, State, Verdict, size_of
from mcp_gateway_operator.facts import Pod

__all__ = ["CHAINS", "Facts", "Rollout", "Verdict", "first", "judge"]

Check = Callable[[Facts], Verdict | None]

LONGEST: Final = 8_192
"""Characters of a message. Pods and the API server have a say in it, and one beyond what the
definition allows would keep the whole status from being written."""


def judge(facts: Facts) -> dict[str, Verdict]:
    """Judge every condition."""
    return {name: _cut(first(chain, facts)) for name, chain in CHAINS.items()}


def first(chain: Sequence[Check], facts: Facts) -> Verdict:
    """Ask the checks in turn; the first that speaks is right."""
    for check in chain:
        if (verdict := check(facts)) is not None:
            return verdict
    raise AssertionError("a chain ends with a check that always speaks")


def _spec_invalid(state: State) -> Check:
    def check(facts: Facts) -> Verdict | None:
        return Verdict(state, "InvalidSpec", facts.invalid) if facts.invalid else None

    return check


def _name_taken(state: State) -> Check:
    def check(facts: Facts) -> Verdict | None:
        if not facts.taken:
            return None
        what = f"{_list(facts.taken)} exists and is not this gateway's: rename one of them"
        return Verdict(state, "NameTaken", what)

    return check


def _apply_refused(facts: Facts) -> Verdict | None:
    if not facts.refused:
        return None
    return Verdict("True", "ApplyRefused", _list(facts.refused))


def _no_workload(facts: Facts) -> Verdict | None:
    if facts.rollout is not None:
        return None
    if facts.refused:
        return Verdict("False", "ApplyRefused", _list(facts.refused))
    return Verdict("False", "Creating", "the workload is not there yet")


def _scaled_to_zero(facts: Facts) -> Verdict | None:
    if facts.desired:
        return None
    return Verdict("False", "ScaledToZero", "replicas is 0: nothing serves")


def _enough_ready(facts: Facts) -> Verdict | None:
    if facts.ready < facts.desired:
        return None
    return Verdict("True", "Serving", _serving(facts))


def _missing_secret(state: State) -> Check:
    def check(facts: Facts) -> Verdict | None:
        return Verdict(state, "SecretMissing", _list(facts.missing)) if facts.missing else None

    return check


def _pod_failing(state: State) -> Check:
    def check(facts: Facts) -> Verdict | None:
        failing = [pod for pod in facts.live if pod.failing]
        if not failing:
            return None
        more = f" ({len(failing)} pods in all)" if len(failing) > 1 else ""
        return Verdict(state, failing[0].failing, _failure(failing[0]) + more)

    return check


def _pods_starting(facts: Facts) -> Verdict:
    return Verdict("False", "PodsNotReady", _serving(facts))


def _paused(facts: Facts) -> Verdict | None:
    if not facts.paused:
        return None
    return Verdict("False", "Paused", "the annotation gateway.exai.dev/paused is true")


def _creating(facts: Facts) -> Verdict | None:
    if facts.rollout is not None:
        return None
    return Verdict("True", "Creating", "the workload is being made")


def _upgrade(facts: Facts) -> Verdict | None:
    rollout = facts.rollout
    if rollout is None or not facts.upgrade:
        return None
    if facts.upgrade == "wait":
        what = "the operator's new version waits until the gateway before this one serves"
        return Verdict("True", "UpgradeWaiting", what)
    if why := _upgrade_failure(facts):
        return Verdict("False", "UpgradeStopped", why)
    what = f"pods of the operator's new version: {rollout.updated} of {facts.desired}"
    return Verdict("True", "Upgrading", what)


def _upgrade_failure(facts: Facts) -> str:
    """Why the pods of the operator's new version do not become ready; or nothing."""
    rollout = facts.rollout
    if rollout is None or facts.upgrade != "turn" or rollout.serves(facts.desired):
        return ""
    failing = [pod for pod in facts.live if pod.failing]
    if not failing and not rollout.stuck:
        return ""
    why = _failure(failing[0]) if failing else rollout.stuck
    return f"the operator's new version does not become ready, and goes no further: {why}"


def _upgrade_stopped(facts: Facts) -> Verdict | None:
    why = _upgrade_failure(facts)
    return Verdict("True", "UpgradeStopped", why) if why else None


def _stuck(facts: Facts) -> Verdict | None:
    if facts.rollout is None or not facts.rollout.stuck:
        return None
    return Verdict("False", "ProgressDeadlineExceeded", facts.rollout.stuck)


def _rolling_out(facts: Facts) -> Verdict | None:
    rollout = facts.rollout
    assert rollout is not None, "asked after _creating"
    if rollout.observed and rollout.updated >= facts.desired and rollout.total <= facts.desired:
        return None
    what = f"pods of the newest revision: {rollout.updated} of {facts.desired}"
    return Verdict("True", "RollingOut", what)


def _starting(facts: Facts) -> Verdict | None:
    if facts.ready >= facts.desired:
        return None
    return Verdict("True", "PodsStarting", _serving(facts))


def _pushing(facts: Facts) -> Verdict | None:
    if not facts.spoken or facts.refusals or facts.applied >= len(facts.live):
        return None
    if facts.view.rejected == facts.generation:
        return None
    return Verdict("True", "ConfigRollingOut", _running(facts))


def _complete(facts: Facts) -> Verdict:
    return Verdict("False", "Complete", "nothing is under way")


def _no_pods(facts: Facts) -> Verdict | None:
    if facts.live:
        return None
    return Verdict("Unknown", "NoPods", "there is no pod that could run it")


def _rolled_back(state: State) -> Check:
    def check(facts: Facts) -> Verdict | None:
        if not facts.generation or facts.view.rejected != facts.generation:
            return None
        what = facts.view.rejection or f"configuration {facts.generation} was taken back"
        return Verdict(state, "RolledBack", what)

    return check


def _config_refused(state: State) -> Check:
    def check(facts: Facts) -> Verdict | None:
        refusals = facts.refusals
        return Verdict(state, "ConfigRefused", _list(refusals)) if refusals else None

    return check


def _silent(facts: Facts) -> Verdict | None:
    if facts.spoken:
        return None
    what = _list(facts.unheard) or "no pod has said yet what it runs"
    return Verdict("Unknown", "NotConnected", what)


def _applied_in_part(facts: Facts) -> Verdict | None:
    if facts.applied >= len(facts.live):
        return None
    return Verdict("False", "Pending", "; ".join([_running(facts), *facts.unheard[:5]]))


def _applied(facts: Facts) -> Verdict:
    return Verdict("True", "Applied", _running(facts))


def _not_probed(facts: Facts) -> Verdict | None:
    if facts.view.providers:
        return None
    return Verdict("Unknown", "NotProbed", "no pod has asked the providers yet")


def _provider_failing(state: State) -> Check:
    def check(facts: Facts) -> Verdict | None:
        failing = [found for found in facts.view.providers if found.state != "Healthy"]
        if not failing:
            return None
        said = [f"{found.provider}: {found.message or found.state}" for found in failing]
        return Verdict(state, failing[0].state, _list(said))

    return check


def _providers_healthy(facts: Facts) -> Verdict:
    names = ", ".join(found.provider for found in facts.view.providers)
    return Verdict("True", "Healthy", f"answered: {names}")


def _not_tuned(facts: Facts) -> Verdict | None:
    if facts.mode != "Off":
        return None
    return Verdict("Unknown", "NotTuned", "tuning.mode is Off: pods use the document's numbers")


def _awaiting_pods(facts: Facts) -> Verdict | None:
    if facts.limits:
        return None
    return Verdict("Unknown", "AwaitingPods", "no pod has reported its limits yet")


def _frozen(facts: Facts) -> Verdict | None:
    if not facts.frozen:
        return None
    what = "the annotation gateway.exai.dev/freeze-tuning is true: ceilings stay as they are"
    return Verdict("False", "Frozen", f"{what}. {_sizes(facts)}".rstrip(". "))


def _reports_missing(facts: Facts) -> Verdict | None:
    frozen = [size_of(*limit) for limit in facts.limits if limit[1].state == "Frozen"]
    return Verdict("False", "ReportsMissing", _list(frozen)) if frozen else None


def _listening(facts: Facts) -> Verdict | None:
    listening = [limit for limit in facts.limits if limit[1].state == "Listening"]
    if not listening:
        return None
    return Verdict("Unknown", "Listening", _list([size_of(*limit) for limit in listening]))


def _recommending(facts: Facts) -> Verdict | None:
    if facts.mode != "Recommend":
        return None
    return Verdict("True", "Recommending", _sizes(facts))


def _tuned(facts: Facts) -> Verdict:
    return Verdict("True", "Dividing", _sizes(facts))


def _api_missing(facts: Facts) -> Verdict | None:
    if not facts.unavailable:
        return None
    return Verdict("True", "APIMissing", f"the cluster has no API for {_list(facts.unavailable)}")


def _pods_missing(facts: Facts) -> Verdict | None:
    rollout = facts.rollout
    if rollout is None or facts.ready >= facts.desired:
        return None
    if rollout.stuck:
        return Verdict("True", "ProgressDeadlineExceeded", rollout.stuck)
    return None


def _as_expected(facts: Facts) -> Verdict:
    return Verdict("False", "AsExpected", "nothing is wrong")


CHAINS: Final[dict[str, Sequence[Check]]] = {
    "Ready": (
        _spec_invalid("False"),
        _name_taken("False"),
        _no_workload,
        _scaled_to_zero,
        _enough_ready,
        _missing_secret("False"),
        _pod_failing("False"),
        _pods_starting,
    ),
    "Progressing": (
        _spec_invalid("False"),
        _paused,
        _creating,
        _upgrade,
        _stuck,
        _rolling_out,
        _starting,
        _pushing,
        _complete,
    ),
    "ConfigApplied": (
        _spec_invalid("False"),
        _no_pods,
        _rolled_back("False"),
        _config_refused("False"),
        _silent,
        _applied_in_part,
        _applied,
    ),
    "ProvidersReachable": (
        _not_probed,
        _provider_failing("False"),
        _providers_healthy,
    ),
    "Tuned": (
        _not_tuned,
        _frozen,
        _awaiting_pods,
        _reports_missing,
        _listening,
        _recommending,
        _tuned,
    ),
    "Degraded": (
        _spec_invalid("True"),
        _name_taken("True"),
        _missing_secret("True"),
        _apply_refused,
        _api_missing,
        _config_refused("True"),
        _rolled_back("True"),
        _upgrade_stopped,
        _pod_failing("True"),
        _pods_missing,
        _provider_failing("True"),
        _as_expected,
    ),
}
"""The conditions, each with its checks in the order they are asked."""


def _serving(facts: Facts) -> str:
    return f"pods that serve: {facts.ready} of {facts.desired}"


def _failure(pod: Pod) -> str:
    return f"{pod.name}: {pod.failing}: {pod.message}".rstrip(": ")


def _running(facts: Facts) -> str:
    return f"pods with configuration {facts.generation}: {facts.applied} of {len(facts.live)}"


def _sizes(facts: Facts) -> str:
    return _list([size_of(*limit) for limit in facts.limits])


def _cut(verdict: Verdict) -> Verdict:
    if len(verdict.message) <= LONGEST:
        return verdict
    return replace(verdict, message=verdict.message[: LONGEST - 1] + "…")


def _list(sentences: Sequence[str]) -> str:
    """Join a few, and say how many more there are."""
    shown = "; ".join(sentences[:5])
    return shown if len(sentences) <= 5 else f"{shown}; and {len(sentences) - 5} more"
