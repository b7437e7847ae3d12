"""What is known of providers and of the limits of their accounts, laid out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from mcp_gateway_operator.cli.connection import Object
from mcp_gateway_operator.cli.terminal import table

_CHANGES: Final = 10
_REACHABLE: Final = {True: "yes", False: "no", None: ""}


def tables(providers: Sequence[Object], age: Callable[[str], str]) -> list[str]:
    """Lay out the providers of one status: who answers, how each limit is used, why it moved.

    Args:
        providers: of the status.
        age: says how long ago a moment in RFC 3339 was.
    """
    answered = [
        (each["name"], _REACHABLE[each.get("reachable")], each.get("message", ""))
        for each in providers
    ]
    found = [table(("PROVIDER", "REACHABLE", "MESSAGE"), answered)]
    limits = [(name, limit) for name, limit in _limits(providers) if "inFlight" in limit]
    if limits:
        headings = (
            "LIMIT", "STATE", "CEILING", "STATED", "GRANTED", "IN FLIGHT", "WAITING", "REFUSED",
            "SHARES", "RPM", "TPM",
        )  # fmt: skip
        found.append(table(headings, [_row(name, limit) for name, limit in limits]))
    if reasons := [
        (name, limit) for name, limit in limits if limit.get("reason") or _advice(limit)
    ]:
        why = [(name, _advice(limit) or limit["reason"]) for name, limit in reasons]
        found.append(table(("LIMIT", "WHY"), why))
    if changes := _changes(providers):
        told = [(age(when), name, moved, reason) for when, name, moved, reason in changes]
        found.append(table(("AGE", "LIMIT", "CEILING", "REASON"), told))
    return found


def _limits(providers: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    """Each limit by the name people know it by: the provider's, and the model's."""
    for provider in providers:
        models = provider.get("byModel") or []
        if not models:
            yield provider["name"], provider
        for model in models:
            yield f"{provider['name']} {model['model']}", model


def _row(name: str, limit: Object) -> tuple[str, ...]:
    numbers = ("ceiling", "stated", "granted", "inFlight", "waiting", "refused")
    shares = limit.get("shares") or []
    return (
        name,
        limit.get("state", ""),
        *(str(limit.get(number, "")) for number in numbers),
        "+".join(str(share["share"]) for share in shares),
        _rate(limit.get("requestsPerMinute")),
        _rate(limit.get("tokensPerMinute")),
    )


def _rate(rate: Object | None) -> str:
    return f"{rate['used']}/{rate['stated']}" if rate else ""


def _advice(limit: Object) -> str:
    advice = limit.get("recommendation")
    if not advice:
        return ""
    upper = f", at most {advice['upper']}" if "upper" in advice else ""
    return (
        f"{advice['target']} recommended, at least {advice['lower']}{upper}:"
        f" {advice.get('reason', '')}"
    )


def _changes(providers: Sequence[Object]) -> list[tuple[str, str, str, str]]:
    """The last changes of all limits, the newest first."""
    found = [
        (change["time"], name, _moved(change), change.get("reason", ""))
        for name, limit in _limits(providers)
        for change in limit.get("changes") or []
    ]
    return sorted(found, reverse=True)[:_CHANGES]


def _moved(change: Object) -> str:
    before = change.get("before")
    return str(change["after"]) if before is None else f"{before} → {change['after']}"
