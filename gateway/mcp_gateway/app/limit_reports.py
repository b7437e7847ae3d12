"""How every limit is used, as the operator is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mcp_gateway.api.quota import MAX_LIMITS, LimitReport
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.accounts import Accounts
from mcp_gateway.proxy.rates import Rates
from mcp_gateway.server.reporting import Pulse
from mcp_gateway.upstream.lane import Lane

CAUSES: Final = ("concurrency", "frequency", "tokens", "quota", "overload")
"""Refusals that are told: those that say something about a limit."""

LARGEST: Final = 2**53
"""No number that is told is larger."""


def limit_reports(accounts: Accounts, now: float) -> list[LimitReport]:
    """One for each account, and for each model that its provider limits by itself.

    Where there are more than a message may hold, the busiest are told.

    Args:
        accounts: those in force, and those that end.
        now: the loop's time.
    """
    found: list[LimitReport] = []
    for account in accounts.live.values():
        found.append(_account(account, now))
        if account.pool.lanes.by_lane:
            found.extend(_model(account, lane, now) for lane in account.pool.lanes if _real(lane))
        found.extend(_leaving(account))
    for account in accounts.retired:
        found.extend(_ending(account))
    if len(found) > MAX_LIMITS:
        found.sort(key=lambda report: report.in_flight + report.waiting, reverse=True)
        del found[MAX_LIMITS:]
    return found


def pulse(accounts: Iterable[Account]) -> Pulse:
    """What decides whether it is time to report.

    Args:
        accounts: those in force.
    """
    contended = False
    state: list[object] = []
    for account in accounts:
        pool, rates = account.pool, account.rates
        lanes = (pool.lanes.root, *pool.lanes) if pool.lanes.by_lane else (pool.lanes.root,)
        waiting = pool.waiting + rates.waiting
        contended |= bool(waiting) or any(_full(lane) for lane in lanes)
        state += [account.identity, waiting, len(account.at_provider.leaving)]
        state += [
            number
            for lane in lanes
            for number in (
                lane.name,
                lane.limit.share,
                lane.limit.limit,
                lane.limit.refusals,
                # That it has room again is news too: the last slot above a share comes free so.
                _full(lane),
            )
        ]
    return Pulse(contended, tuple(state))


def _full(lane: Lane) -> bool:
    return 0 < lane.in_flight >= lane.limit.limit


def refusals(account: Account) -> dict[str, int]:
    """Refused attempts of a whole account by cause, since the process began."""
    lanes = (account.pool.lanes.root, *account.pool.lanes)
    return {cause: sum(lane.refusals.get(cause, 0) for lane in lanes) for cause in CAUSES}


def _real(lane: Lane) -> bool:
    """The document names the model, or the provider is known to have it.

    Clients can make up any name. What is told is granted, and what is granted is not forgotten:
    made-up models would take the places of those that there are.
    """
    return lane.pinned or lane.completions > 0 or lane.limit.refusals > 0


def _account(account: Account, now: float) -> LimitReport:
    pool = account.pool
    root = pool.lanes.root
    lanes = (root, *pool.lanes)
    told = _limit(account, root, account.rates, now)
    return told.model_copy(
        update={
            "waiting": min(pool.waiting, LARGEST),
            "idle": pool.stats().idle,
            "completions": sum(lane.completions for lane in lanes),
            "service_seconds": sum(lane.service_seconds for lane in lanes),
            "refusals": {cause: count for cause, count in refusals(account).items() if count},
        }
    )


def _model(account: Account, lane: Lane, now: float) -> LimitReport:
    rates = account.model_rates.get(lane.name)
    told = _limit(account, lane, rates, now)
    return told.model_copy(
        update={
            "model": lane.name,
            "waiting": account.pool.waiting_in(lane.name),
            "completions": lane.completions,
            "service_seconds": lane.service_seconds,
            "refusals": {cause: lane.refusals[cause] for cause in CAUSES if cause in lane.refusals},
        }
    )


def _limit(account: Account, lane: Lane, rates: Rates | None, now: float) -> LimitReport:
    limit = lane.limit
    requests, tokens = (0, 0) if rates is None else rates.in_window(now)
    share = limit.share if account.governed else None
    return LimitReport(
        provider=account.name,
        account=account.identity,
        share=None if share is None else min(share, LARGEST),
        limit=max(0, limit.limit),
        in_flight=lane.in_flight,
        arrivals=lane.arrivals,
        wait_p50=lane.waits.quantile(0.5, lane.arrivals),
        wait_p99=lane.waits.quantile(0.99, lane.arrivals),
        in_flight_at_refusal=limit.in_flight_at_refusal,
        requests_per_minute=None if rates is None else rates.requests_per_minute,
        requests_in_window=min(requests, LARGEST),
        tokens_per_minute=None if rates is None else rates.tokens_per_minute,
        tokens_in_window=min(max(0, tokens), LARGEST),
        rate_waiting=0 if rates is None else rates.waiting,
    )


def _leaving(account: Account) -> Iterator[LimitReport]:
    """What still runs on credentials that the account had before.

    Told under a name that no document can have, so that nobody grants it anything; it counts
    against the account that it runs on until it ends.
    """
    for (identity, model), count in account.at_provider.leaving.items():
        if count:
            yield _former(account, identity, model, count)


def _ending(account: Account) -> Iterator[LimitReport]:
    """What still runs on an account that is no longer in force."""
    yield from _leaving(account)
    lanes = account.pool.lanes
    for lane in lanes if lanes.by_lane else (lanes.root,):
        if lane.in_flight:
            yield _former(account, account.identity, lane.name, lane.in_flight)


def _former(account: Account, identity: str, model: str, in_flight: int) -> LimitReport:
    return LimitReport(
        provider=f"{account.name}@{identity}",
        model=model,
        account=identity,
        share=0,
        in_flight=in_flight,
    )
