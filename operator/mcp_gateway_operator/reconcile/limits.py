"""The limits of providers as the status shows them: what is known now, and how it came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from mcp_gateway_operator.evidence import Facts
from mcp_gateway_operator.facts import Ceiling, Key
from mcp_gateway_operator.tuning import Change, LimitView, Mode, RateView, Recommendation

CHANGES: Final = 10
SHARES: Final = 64
MODELS: Final = 64
_LONGEST: Final = 1_024
_REMEMBERED: Final = ("ceiling", "stated", "reason", "changes")
"""What stays true of a limit while no pod tells of it, and what a new leader goes on from."""
_STATES: Final = ("Frozen", "Listening", "Probing", "Holding", "Full", "Idle")
"""States of limits, the most telling one first."""


def known_ceilings(key: Key, providers: Sequence[Mapping[str, Any]]) -> dict[Ceiling, int]:
    """Give the ceilings that a status remembers of its providers."""
    return {
        (str(key), provider["name"], limit.get("model", "")): limit["ceiling"]
        for provider in providers
        for limit in (provider, *(provider.get("byModel") or []))
        if limit.get("ceiling") is not None
    }


def summary(facts: Facts) -> str:
    """Say in a word or two what is tuned."""
    states = {view.state for _, view in facts.limits}
    if facts.mode == "Off" or not (states or facts.frozen):
        return facts.mode
    state = "Frozen" if facts.frozen else next(each for each in _STATES if each in states)
    return f"{facts.mode}/{state}"


def shown(
    views: Sequence[LimitView], before: Mapping[str, Any], mode: Mode, *, settling: bool
) -> dict[str, Any]:
    """Write what is known of one provider's limits.

    Args:
        views: what is known now; empty where no pod has told.
        before: what the status says of the provider.
        mode: of the tuning.
        settling: this leadership has only begun: what was said before still counts.
    """
    if not views:
        return _remembered(before, mode, settling=settling)
    found: dict[str, Any] = {}
    models = {model["model"]: model for model in before.get("byModel") or []}
    by_model = []
    for view in views:
        if view.model:
            limit = _limit(view, models.get(view.model, {}), mode)
            by_model.append({"model": view.model, **limit})
        else:
            found = _limit(view, before, mode)
    if by_model:
        found["byModel"] = sorted(by_model, key=lambda limit: limit["model"])[:MODELS]
    return found


def _remembered(before: Mapping[str, Any], mode: Mode, *, settling: bool) -> dict[str, Any]:
    own = ("name", "reachable", "message")
    if settling:
        return {name: value for name, value in before.items() if name not in own}
    if mode == "Off":
        return {}
    kept = _kept(before)
    models = [{"model": m["model"], **_kept(m)} for m in before.get("byModel") or []]
    return kept | ({"byModel": models} if models else {})


def _kept(limit: Mapping[str, Any]) -> dict[str, Any]:
    return {name: limit[name] for name in _REMEMBERED if name in limit}


def _limit(view: LimitView, before: Mapping[str, Any], mode: Mode) -> dict[str, Any]:
    governed = mode == "Auto" and view.ceiling is not None
    found = {
        "ceiling": view.ceiling if mode != "Off" else None,
        "stated": view.stated,
        "granted": view.granted if governed else None,
        "inFlight": view.in_flight,
        "waiting": view.waiting,
        "refused": view.refused if mode != "Off" else None,
        "warm": view.warm if governed else None,
        "state": view.state if mode != "Off" else None,
        "reason": (view.reason[:_LONGEST] or None) if mode != "Off" else None,
        "shares": _shares(view.shares) if governed else None,
        "requestsPerMinute": _rate(view.requests),
        "tokensPerMinute": _rate(view.tokens),
        "recommendation": _recommendation(view.recommendation),
        "changes": _changes(view.recent, before.get("changes") or []) if mode != "Off" else None,
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


def _shares(shares: Mapping[str, int]) -> list[dict[str, Any]]:
    largest = sorted(shares, key=lambda pod: (-shares[pod], pod))[:SHARES]
    return [{"pod": pod, "share": shares[pod]} for pod in sorted(largest)]


def _rate(rate: RateView | None) -> dict[str, int] | None:
    if rate is None:
        return None
    return {"stated": rate.stated, "granted": rate.granted, "used": rate.used}


def _recommendation(advice: Recommendation | None) -> dict[str, Any] | None:
    if advice is None:
        return None
    found = {"lower": advice.lower, "target": advice.target, "reason": advice.reason[:_LONGEST]}
    return found if advice.upper is None else {**found, "upper": advice.upper}


def _changes(recent: Sequence[Change], before: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Write the last changes: those of this leadership after those it has found."""
    new = [_change(change) for change in recent]
    times = {change["time"] for change in new}
    first = min(times) if times else ""
    old = [dict(each) for each in before if not first or each["time"] < first]
    return [*old, *new][-CHANGES:]


def _change(change: Change) -> dict[str, Any]:
    moment = datetime.fromtimestamp(change.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    found = {"time": moment, "after": change.after, "reason": change.reason[:_LONGEST]}
    return found if change.before is None else {**found, "before": change.before}
