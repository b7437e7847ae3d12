"""The status of a gateway, from the facts; written where it differs from what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from mcp_gateway.api import API_VERSION, KIND
from mcp_gateway_operator.conditions import Facts, Verdict
from mcp_gateway_operator.facts import Key, Probed
from mcp_gateway_operator.reconcile import limits
from mcp_gateway_operator.reconcile.look import Story
from mcp_gateway_operator.render.gateway import APPLICATION, INSTANCE_LABEL, MCP_PORT, NAME_LABEL

_UNHURT: Final = frozenset({"Creating", "PodsNotReady", "ScaledToZero"})
_FAILED: Final = frozenset({"Degraded"})
UNHEARD: Final = frozenset({"NotConnected", "NotProbed", "AwaitingPods", "Listening"})
"""Reasons that only say that no pod was heard yet, or not every one."""
_QUIET: Final = frozenset({"AsExpected", "Pending", "NoPods", "NotTuned", *UNHEARD})
_UNKNOWN: Final = UNHEARD | {"NoPods"}
"""Reasons that a leader before gave because it had heard no pod either."""
_TOLD: Final = ("Ready", "Degraded", "ConfigApplied", "ProvidersReachable", "Tuned")
_PROBED: Final = ("name", "reachable", "message")
_RESTLESS: Final = frozenset({"Tuned"})
"""Conditions of which the message has numbers of the moment: only a reason is news."""


def build(
    key: Key,
    generation: int,
    facts: Facts,
    verdicts: Mapping[str, Verdict],
    before: Mapping[str, Any],
    *,
    tls: bool,
    now: str,
    settling: bool = False,
) -> dict[str, Any]:
    """Write the status.

    Args:
        key: whose it is.
        generation: the spec's that was looked at.
        facts: what is.
        verdicts: what is thought of it.
        before: the status there is, for the times of conditions that stay, and for what
            others wrote about the providers.
        tls: the main port speaks TLS.
        now: RFC 3339.
        settling: this leadership has only begun, and what no pod could say yet was said to the
            one before.
    """
    scheme = "https" if tls else "http"
    live = len(facts.live)
    old = before.get("conditions") or []
    applied = f"{facts.applied}/{live}" if facts.spoken or not live else ""
    if settling and not applied:
        applied = before.get("configApplied", "")
    return {
        "observedGeneration": generation,
        "conditions": conditions(verdicts, old, generation, now),
        "replicas": facts.rollout.total if facts.rollout else 0,
        "readyReplicas": facts.ready,
        "selector": f"{NAME_LABEL}={APPLICATION},{INSTANCE_LABEL}={key.name}",
        "endpoint": f"{scheme}://{key.name}.{key.namespace}.svc:{MCP_PORT}",
        "configGeneration": facts.generation,
        "configApplied": applied,
        "tuning": limits.summary(facts),
        "providers": providers(facts, before.get("providers") or [], settling=settling),
    }


def settled(
    verdicts: Mapping[str, Verdict], before: Sequence[Mapping[str, Any]]
) -> dict[str, Verdict]:
    """Keep what was known where nothing can be known yet: a restart of ours is no news."""
    known = {condition["type"]: condition for condition in before}
    return {
        name: Verdict(known[name]["status"], known[name]["reason"], known[name]["message"])
        if verdict.reason in UNHEARD and name in known and known[name]["reason"] not in _UNKNOWN
        else verdict
        for name, verdict in verdicts.items()
    }


def conditions(
    verdicts: Mapping[str, Verdict],
    before: Sequence[Mapping[str, Any]],
    generation: int,
    now: str,
) -> list[dict[str, Any]]:
    """Write the conditions; the time of one changes with its status only."""
    known = {condition["type"]: condition for condition in before}
    written = []
    for name, verdict in verdicts.items():
        old = known.get(name, {})
        same = old.get("status") == verdict.state
        written.append(
            {
                "type": name,
                "status": verdict.state,
                "reason": verdict.reason,
                "message": verdict.message,
                "lastTransitionTime": old["lastTransitionTime"] if same else now,
                "observedGeneration": generation,
            }
        )
    return written


def providers(
    facts: Facts, before: Sequence[Mapping[str, Any]], *, settling: bool = False
) -> list[dict[str, Any]]:
    """Write what is known of the providers; with no new probe, what was known of reachability.

    Probes and reports come at their own times, and neither takes away what the other told.
    """
    old = {provider["name"]: provider for provider in before}
    probed = {each.provider: _probed(each) for each in facts.view.providers} or {
        name: {part: each[part] for part in _PROBED if part in each} for name, each in old.items()
    }
    names = dict.fromkeys([*probed, *sorted(facts.view.limits)])
    return [
        {
            **probed.get(name, {"name": name, "message": ""}),
            **limits.shown(
                facts.view.limits.get(name, ()), old.get(name, {}), facts.mode, settling=settling
            ),
        }
        for name in names
    ]


def _probed(each: Probed) -> dict[str, Any]:
    return {
        "name": each.provider,
        "reachable": each.state == "Healthy",
        "message": each.message or each.state,
    }


def resource(key: Key, version: str, status: Mapping[str, Any]) -> dict[str, Any]:
    """The object to apply: refused where the resource is not as it was looked at."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "resourceVersion": version,
        },
        "status": dict(status),
    }


def stories(
    verdicts: Mapping[str, Verdict],
    before: Sequence[Mapping[str, Any]],
    *,
    renumbered: bool = False,
) -> list[Story]:
    """The changes that a person who asks what happened wants to read.

    Args:
        verdicts: what is thought now.
        before: the conditions as they were.
        renumbered: the configuration has another number than it had then.
    """
    known = {condition["type"]: condition for condition in before}
    told: dict[tuple[str, str], Story] = {}
    for name in _TOLD:
        verdict, old = verdicts[name], known.get(name, {})
        if verdict.reason in _QUIET or not _news(name, verdict, old, renumbered=renumbered):
            continue
        # Two conditions that say the same say it once.
        story = Story(_type(name, verdict), verdict.reason, name, verdict.message)
        told.setdefault((verdict.reason, verdict.message), story)
    return list(told.values())


def _news(name: str, verdict: Verdict, old: Mapping[str, Any], *, renumbered: bool) -> bool:
    """Tell progress, such as a count that goes from 2 to 3, from what is worth a word."""
    if (verdict.state, verdict.reason) != (old.get("status"), old.get("reason")):
        return True
    if name == "ConfigApplied" and renumbered:
        return True
    if name in _RESTLESS:
        return False
    return _type(name, verdict) == "Warning" and verdict.message != old.get("message")


def _type(name: str, verdict: Verdict) -> Literal["Normal", "Warning"]:
    bad = verdict.state == ("True" if name in _FAILED else "False")
    return "Warning" if bad and verdict.reason not in _UNHURT else "Normal"
