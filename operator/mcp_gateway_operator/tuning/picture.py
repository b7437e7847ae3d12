"""What people are shown of every limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mcp_gateway_operator.tuning.account import Limit
from mcp_gateway_operator.tuning.fact import AccountSpec
from mcp_gateway_operator.tuning.pod import Member, Site
from mcp_gateway_operator.tuning.rates import Rate
from mcp_gateway_operator.tuning.recommend import recommend
from mcp_gateway_operator.tuning.view import LimitView, RateView, Recommendation, State


def views(
    now: float,
    limits: Mapping[tuple[str, str], Limit],
    around: Mapping[tuple[str, str, str, str], Sequence[Member]],
    specs: Mapping[Site, AccountSpec],
) -> dict[Site, list[LimitView]]:
    """Every limit as each gateway that uses it sees it."""
    found: dict[Site, list[LimitView]] = {}
    totals: dict[tuple[str, str], LimitView] = {}
    for (gateway, provider, account, model), members in around.items():
        site = (gateway, provider)
        if site not in specs:
            continue
        limit = limits[account, model]
        total = totals.get((account, model))
        if total is None:
            total = totals[account, model] = _total(now, limit)
        found.setdefault(site, []).append(_of_site(total, limit, site, members, specs[site]))
    for of_site in found.values():
        of_site.sort(key=lambda view: (view.model, view.account))
    return found


def _total(now: float, limit: Limit) -> LimitView:
    members = limit.members.values()
    slots = [one.slots for one in members if one.slots is not None]
    in_flight = sum(part.used for part in slots)
    waiting = sum(one.report.waiting for one in members)
    ceiling = limit.ceiling
    return LimitView(
        model=limit.model,
        account=limit.account,
        ceiling=ceiling.value if ceiling is not None else None,
        stated=ceiling.stated if ceiling is not None else None,
        granted=sum(one.slots.last for one in members if one.slots is not None and one.auto),
        in_flight=in_flight if slots else sum(one.report.in_flight for one in members),
        waiting=waiting,
        refused=ceiling.refused if ceiling is not None else 0,
        warm=sum(one.warm for one in members),
        state=_state(now, limit, in_flight, waiting),
        reason=_reason(limit),
        requests=_rate(now, limit, limit.requests),
        tokens=_rate(now, limit, limit.tokens),
    )


def _of_site(
    total: LimitView, limit: Limit, site: Site, members: Sequence[Member], spec: AccountSpec
) -> LimitView:
    shares = {one.pod.state.name: one.slots.last for one in members if one.slots is not None}
    return LimitView(
        model=total.model,
        account=total.account,
        ceiling=total.ceiling,
        stated=total.stated,
        granted=total.granted,
        in_flight=total.in_flight,
        waiting=total.waiting,
        refused=total.refused,
        warm=total.warm,
        state=total.state,
        reason=total.reason,
        recommendation=_recommendation(limit, total) if spec.mode == "Recommend" else None,
        shares=shares if spec.mode == "Auto" else {},
        requests=total.requests,
        tokens=total.tokens,
        recent=[moved.of(*site, limit.model) for moved in limit.journal.recent],
    )


def _state(now: float, limit: Limit, in_flight: int, waiting: int) -> State:
    ceiling = limit.ceiling
    # Also while most are not heard: a leader has only just begun.
    if limit.waits(now) or (limit.listening and not limit.frozen):
        return "Listening"
    if limit.frozen:
        return "Frozen"
    if ceiling is not None and ceiling.holding:
        return "Holding"
    if ceiling is None or in_flight < ceiling.value - 1:
        return "Idle"
    return "Probing" if waiting and not ceiling.full else "Full"


def _reason(limit: Limit) -> str:
    if limit.ceiling is None:
        return limit.frozen
    return f"{limit.ceiling.reason}; {limit.frozen}" if limit.frozen else limit.ceiling.reason


def _rate(now: float, limit: Limit, rate: Rate) -> RateView | None:
    if rate.stated is None:
        return None
    parts = [(rate.part(one), one.auto) for one in limit.members.values()]
    granted = sum(part.last for part, auto in parts if part is not None and auto)
    used = sum(part.used for part, _ in parts if part is not None)
    return RateView(stated=rate.stated, granted=granted, used=used + rate.ghosts(now))


def _recommendation(limit: Limit, total: LimitView) -> Recommendation | None:
    if limit.ceiling is None:
        return None
    members = limit.members.values()
    rate = sum(one.flow.rate for one in members)
    load = sum(one.flow.load for one in members)
    return recommend(
        rate=rate,
        service=load / rate if rate else 0.0,
        ceiling=limit.ceiling.value,
        known=limit.ceiling.stated is not None or limit.ceiling.cut_before,
        waiting=total.waiting,
        pods=len(limit.members),
    )
