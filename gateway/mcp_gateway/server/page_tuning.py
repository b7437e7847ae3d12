"""The part of the status page that says what an operator lets this process use, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from mcp_gateway.server.page_text import text

Picture = Mapping[str, Any]

_STANDINGS = {
    "nothing": ("waits for a grant", "warn", "nothing is sent before"),
    "bootstrap": ("no operator", "warn", "uses the part that every pod may"),
    "grant": ("granted", "good", "by the operator"),
}
_SILENT = ("operator silent", "warn", "the share stays, cuts recover without it")


def standing(tuning: Picture) -> str:
    """By whose word the provider is used, as a line; nothing where it is the document's."""
    word = str(tuning.get("standing", ""))
    if word not in _STANDINGS:
        return ""
    silent = word == "grant" and tuning.get("silent")
    short, tone, rest = _SILENT if silent else _STANDINGS[word]
    peers = int(tuning.get("peers") or 0)
    if peers:
        rest += f"; {peers} other {'pod holds' if peers == 1 else 'pods hold'} slots"
    return (
        f'<p class="standing"><span class="badge {tone}">{text(short)}</span> '
        f'<span class="soft">{text(rest)}</span></p>'
    )


def rates(tuning: Picture) -> str:
    """What may begin within a minute, and what did, as bars."""
    return "".join(_rate(unit, rate) for unit, rate in (tuning.get("rates") or {}).items())


def ceilings(tuning: Picture) -> str:
    """What the account is allowed as a whole, and the last reasons for it."""
    return "".join(map(_ceiling, tuning.get("ceilings") or ()))


def operator(picture: Picture | None) -> str:
    """When the operator spoke last, for the page's head; nothing where there is none."""
    if not picture:
        return ""
    state = "connected" if picture.get("connected") else "not connected"
    parts = [f"operator {state}"]
    if picture.get("heardSecondsAgo") is not None:
        parts.append(f"heard {_ago(picture['heardSecondsAgo'])}")
    if picture.get("grantSecondsAgo") is not None:
        number = f"{picture.get('epoch', 0)}.{picture.get('sequence', 0)}"
        parts.append(f"grant {number} {_ago(picture['grantSecondsAgo'])}")
    return text(" · ".join(parts))


def silence(picture: Picture | None) -> Iterable[str]:
    """What to tell people about an operator that is not there."""
    if picture and not picture.get("connected"):
        heard = picture.get("heardSecondsAgo")
        yield (
            f"No operator is connected; the last one was heard {_ago(heard)}"
            if heard is not None
            else "No operator has connected yet"
        )


def _rate(unit: str, rate: Picture) -> str:
    used, limit = int(rate.get("used") or 0), int(rate.get("limit") or 0)
    percent = min(100.0, 100.0 * used / limit) if limit else 0.0
    full = " full" if used >= limit else ""
    waiting = int(rate.get("waiting") or 0)
    queue = f" · {waiting} waiting" if waiting else ""
    label = f"{unit} this minute"
    return (
        f'<div class="row"><span>{text(label)}</span><span><b>{text(used)}</b> of {text(limit)}'
        f'{queue}</span></div><svg class="bar{full}" viewBox="0 0 100 1" '
        f'preserveAspectRatio="none" role="img" aria-label="{used} of {limit} {text(unit)}">'
        f'<rect width="{percent:.1f}" height="1"></rect></svg>'
    )


def _ceiling(limit: Picture) -> str:
    model = limit.get("model")
    name = f" of <code>{text(model)}</code>" if model else " of the account"
    ceiling = limit.get("ceiling")
    value = text(ceiling) if ceiling is not None else "not known yet"
    changes = "".join(map(_change, limit.get("changes") or ()))
    listed = f'<ol class="reasons">{changes}</ol>' if changes else ""
    return f'<div class="row top"><span>ceiling{name}</span><b>{value}</b></div>{listed}'


def _change(change: Picture) -> str:
    moment = datetime.fromtimestamp(float(change.get("at") or 0), UTC)
    ceiling = change.get("ceiling")
    number = f"<b>{text(ceiling)}</b> " if ceiling is not None else ""
    return (
        f'<li><time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%H:%M:%S}</time> '
        f"<span>{number}{text(change.get('reason') or 'no reason given')}</span></li>"
    )


def _ago(seconds: object) -> str:
    passed = float(str(seconds))
    return f"{passed:.0f} s ago" if passed < 120 else f"{passed / 60:.0f} min ago"
