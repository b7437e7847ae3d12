"""What an operator lets this process use, as people and Prometheus see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mcp_gateway.app.granting import Granting
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.governor import Governor
from mcp_gateway.proxy.rates import Rates
from mcp_gateway.telemetry import definitions as metric
from mcp_gateway.telemetry.metrics import Sample


def tuning_picture(account: Account, governor: Governor, now: float) -> dict[str, Any]:
    """By whose word an account is used, and how its limits came about; JSON-ready."""
    return {
        "standing": governor.standing(account).value,
        "silent": governor.silent,
        "peers": sum(len(peers) for peers in account.fleet.values()),
        "rates": _rates(account.rates, now),
        "ceilings": [
            {
                "model": model,
                "ceiling": changes[-1].ceiling,
                "changes": [
                    {"at": change.at, "ceiling": change.ceiling, "reason": change.reason}
                    for change in reversed(changes)
                ],
            }
            for (provider, model), changes in sorted(governor.ceilings.items())
            if provider == account.name and changes and account.governed
        ],
    }


def operator_picture(granting: Granting, epoch: int, now: float) -> dict[str, Any]:
    """Whether there is an operator, and what it said last; JSON-ready."""
    return {
        "connected": granting.connected,
        "epoch": epoch,
        "sequence": granting.sequence,
        "heardSecondsAgo": _since(granting.heard_at, now),
        "grantSecondsAgo": _since(granting.taken_at, now),
    }


def limit_samples(account: Account, now: float) -> Iterator[Sample]:
    """Gauges of what one account may use, read at a scrape."""
    name, share = account.name, account.pool.lanes.root.limit.share
    if account.governed and share is not None:
        yield metric.SHARE, (name,), float(share)
        yield metric.WARM, (name,), float(account.pool.stats().warm)
    for unit, rate in _rates(account.rates, now).items():
        yield metric.RATE_LIMIT, (name, unit), float(rate["limit"])
        yield metric.RATE_USED, (name, unit), float(rate["used"])


def operator_samples(granting: Granting, governor: Governor, now: float) -> Iterator[Sample]:
    """The operator as this process knows it, read at a scrape."""
    yield metric.OPERATOR_CONNECTED, (), float(granting.connected)
    for cell, at in (
        (metric.OPERATOR_CONTACT_AGE, granting.heard_at),
        (metric.GRANT_AGE, granting.taken_at),
    ):
        if at is not None:
            yield cell, (), now - at
    for standing, count in governor.standings().items():
        yield metric.TUNED_ACCOUNTS, (standing,), float(count)


def _rates(rates: Rates, now: float) -> dict[str, dict[str, int]]:
    """What is bounded, by unit: the limit within a minute, what is used of it, and who waits."""
    limits = rates.requests_per_minute, rates.tokens_per_minute
    found: dict[str, dict[str, int]] = {}
    for unit, limit, used in zip(metric.RATE_UNITS, limits, rates.in_window(now), strict=True):
        if limit is not None:
            found[unit] = {"limit": limit, "used": used, "waiting": rates.waiting}
    return found


def _since(moment: float | None, now: float) -> float | None:
    return None if moment is None else round(now - moment, 1)
