"""The status page: the gateway's picture, for people.

Rendered here from the same picture `/status` gives to programs. Every value is escaped; what the
picture does not have is left out.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mcp_gateway.server import page_tuning
from mcp_gateway.server.page_look import SCRIPT, STYLE
from mcp_gateway.server.page_text import duration, size, text

Picture = Mapping[str, Any]

UNBOUNDED = 10_000
"""A limit from here on is none, and says nothing to people."""

_BREAKER_TONES = {"closed": "good", "half_open": "warn", "open": "bad"}
_POOL_COUNTS = (
    ("waiting", "waiting"),
    ("idle", "idle connections"),
    ("connecting", "connecting"),
    ("acquired", "requests carried"),
    ("refused", "refused for concurrency"),
    ("saturated", "refused, queue full"),
    ("timeouts", "waited too long"),
    ("connect_failures", "failed to connect"),
)


def render(picture: Picture) -> tuple[bytes, bytes]:
    """Return the page, and the header lines that let only its own style and script run."""
    nonce = secrets.token_urlsafe(16)
    policy = (
        "content-security-policy: default-src 'none'; "
        f"style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
        "x-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
    )
    state = "ready" if picture.get("ready") else "not ready"
    title = text(f"{picture.get('name') or 'gateway'}: {state}")
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<noscript><meta http-equiv="refresh" content="5"></noscript>'
        f'<style nonce="{nonce}">{STYLE}</style></head><body><main data-title="{title}">\n'
        f"{_body(picture)}\n</main>"
        f'<script nonce="{nonce}">{SCRIPT}</script></body></html>\n'
    ).encode(), policy.encode()


def _body(picture: Picture) -> str:
    parts = [
        _header(picture),
        *(f'<p class="notice">{text(told)}</p>' for told in _notices(picture)),
        "<h2>Providers</h2>",
        f'<div class="grid">{"".join(map(_provider, picture.get("providers") or ()))}</div>',
        "<h2>Routes, first match wins</h2>",
        _routes(picture.get("routes") or ()),
        "<h2>Clients</h2>",
        _clients(picture),
        "<h2>Recording</h2>",
        _recording(picture.get("recording")),
    ]
    return "\n".join(parts)


def _header(picture: Picture) -> str:
    ready = bool(picture.get("ready"))
    generation = picture.get("generation", "?")
    said = page_tuning.operator(picture.get("operator"))
    said += " · " if said else ""
    about = (
        f"{said}version {text(picture.get('version', '?'))} · generation {text(generation)} · "
        f"up {duration(float(picture.get('uptimeSeconds') or 0))}"
    )
    return (
        f"<header><h1>{text(picture.get('name') or 'gateway')}</h1>"
        f"{_badge('ready' if ready else 'not ready', 'good' if ready else 'bad')}"
        f'<span class="soft end">{about}</span></header>'
    )


def _notices(picture: Picture) -> Iterable[str]:
    for name, detail in (picture.get("details") or {}).items():
        yield f"{name}: {detail}"
    yield from page_tuning.silence(picture.get("operator"))


def _provider(provider: Picture) -> str:
    pool: Picture = provider.get("pool") or {}
    breaker: Picture = provider.get("breaker") or {}
    state = str(breaker.get("state", "unknown"))
    error = provider.get("lastError")
    lanes: Picture = pool.get("lanes") or {}
    tuning: Picture = provider.get("tuning") or {}
    return (
        '<section class="card"><header>'
        f"<h3>{text(provider.get('name', ''))}</h3>"
        f'<span class="soft">{text(provider.get("type", ""))}</span>'
        f'<span class="end">{_breaker(state, breaker)}</span></header>'
        f"{page_tuning.standing(tuning)}{_load('in flight', pool)}"
        f"{''.join(_load(f'{model}', lane, code=True) for model, lane in lanes.items())}"
        f"{page_tuning.rates(tuning)}{page_tuning.ceilings(tuning)}"
        f"<dl>{_counts(pool)}{_rates(provider.get('rates') or {})}</dl>"
        f"{''.join(_endpoint(url) for url in provider.get('endpoints') or ())}"
        f"{f'<p class=error>{text(error)}</p>' if error else ''}</section>"
    )


def _breaker(state: str, breaker: Picture) -> str:
    told = f"breaker {state.replace('_', ' ')}"
    seconds = float(breaker.get("retryAfter") or 0)
    if seconds:
        told += f" for {duration(seconds)}"
    return _badge(told, _BREAKER_TONES.get(state, ""))


def _load(label: str, lane: Picture, *, code: bool = False) -> str:
    in_flight, limit = int(lane.get("in_flight") or 0), int(lane.get("limit") or 0)
    percent = min(100.0, 100.0 * in_flight / limit) if limit else 0.0
    full = " full" if limit and in_flight >= limit else ""
    share = lane.get("share")
    bound = f" of {limit}" if limit < UNBOUNDED else ""
    bound += f" · share {text(share)}" if share is not None else ""
    name = f"<code>{text(label)}</code>" if code else text(label)
    return (
        f'<div class="row"><span>{name}</span><span><b>{in_flight}</b>{bound}</span>'
        f'</div><svg class="bar{full}" viewBox="0 0 100 1" preserveAspectRatio="none" role="img" '
        f'aria-label="{in_flight} of {limit} in flight">'
        f'<rect width="{percent:.1f}" height="1"></rect></svg>'
    )


def _counts(pool: Picture) -> str:
    pairs = [(label, pool[key]) for key, label in _POOL_COUNTS if pool.get(key)]
    waited = int(pool.get("wait_count") or 0)
    if waited:
        mean = float(pool.get("wait_sum") or 0) / waited
        pairs.append(("mean wait of those that waited", duration(mean)))
    if pool.get("warm"):
        pairs.append(("connections kept warm", pool["warm"]))
    if pool.get("in_flight_at_refusal") is not None:
        pairs.append(("in flight at the last refusal", pool["in_flight_at_refusal"]))
    return _pairs(pairs)


def _rates(rates: Picture) -> str:
    return _pairs((f"{name} left now", int(level)) for name, level in rates.items())


def _endpoint(url: object) -> str:
    return f'<p class="soft"><code>{text(url)}</code></p>'


def _routes(routes: Sequence[Picture]) -> str:
    rows = "".join(
        f"<tr><td><b>{text(route.get('name', ''))}</b></td>"
        f"<td>{text(str(route.get('strategy', '')).replace('_', ' '))}</td>"
        f"<td>{'<br>'.join(map(_backend, route.get('backends') or ()))}</td></tr>"
        for route in routes
    )
    return (
        '<div class="card wide"><table><tr><th>Route</th><th>Strategy</th>'
        f"<th>Backends</th></tr>{rows}</table></div>"
    )


def _backend(backend: Picture) -> str:
    told = text(backend.get("provider", ""))
    if backend.get("model"):
        told += f" as <code>{text(backend['model'])}</code>"
    told += (
        f' <span class="soft">priority {text(backend.get("priority", 0))}, '
        f"weight {text(backend.get('weight', 1))}</span>"
    )
    return told if backend.get("available", True) else f"{told} {_badge('unavailable', 'bad')}"


def _clients(picture: Picture) -> str:
    listener: Picture = picture.get("listener") or {}
    facts = [(name.replace("_", " "), value) for name, value in listener.items()]
    layers = " → ".join(text(name) for name in picture.get("middleware") or ())
    doors = "".join(
        f"<tr><td>{text(name)}</td><td><code>{text(url)}</code></td></tr>"
        for name, url in (picture.get("urls") or {}).items()
    )
    return (
        f'<div class="card">{_facts(facts)}</div>'
        f'<div class="card wide next"><table><tr><th>Door</th><th>Address</th></tr>{doors}'
        f"<tr><td>Layers</td><td>{layers}</td></tr></table></div>"
    )


def _recording(recording: Picture | None) -> str:
    if not recording:
        return '<div class="card soft">Nothing is recorded.</div>'
    dropped: Picture = recording.get("dropped") or {}
    facts: list[tuple[str, object]] = [
        ("recorded", recording.get("recorded", 0)),
        ("waiting for a commit", recording.get("queued", 0)),
        ("lost", sum(int(count) for count in dropped.values())),
        ("spool", size(float(recording.get("spool_bytes") or 0))),
        ("longest wait for a commit", duration(float(recording.get("exposure") or 0))),
        ("dead letters", recording.get("dead_letters", 0)),
    ]
    shipper: Picture | None = recording.get("shipper")
    if shipper:
        facts += [
            ("shipped", shipper.get("shipped", 0)),
            ("still to ship", shipper.get("waiting", 0)),
            ("behind by", duration(float(shipper.get("lag") or 0))),
        ]
    notes = [recording.get("degraded"), (shipper or {}).get("problem")]
    errors = "".join(f'<p class="error">{text(note)}</p>' for note in notes if note)
    return f'<div class="card">{_facts(facts)}{errors}</div>'


def _facts(facts: Iterable[tuple[str, object]]) -> str:
    items = "".join(f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in facts)
    return f'<dl class="facts">{items}</dl>'


def _pairs(pairs: Iterable[tuple[str, object]]) -> str:
    return "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in pairs)


def _badge(word: str, tone: str) -> str:
    return f'<span class="badge {tone}">{text(word)}</span>'
