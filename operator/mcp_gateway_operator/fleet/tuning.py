"""Connects the tuner with the pods: what they reported goes in, grants and views come out.

All gateways are tuned together, because accounts are shared across them. The tuner is asked once
a `Pace.tick` while there is something to decide, earlier when requests begin to wait or are
refused, and not at all where no pod reports anything: an idle fleet costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol

from mcp_gateway.api.control import Grant, Report
from mcp_gateway.api.quota import LimitReport
from mcp_gateway.api.server import PEER_PORT
from mcp_gateway_operator.facts import Key, Target, Term
from mcp_gateway_operator.tuning import (
    AccountSpec,
    Change,
    Decision,
    LimitView,
    Mode,
    Pace,
    PodState,
    Tuner,
    frees,
)

HURRY: Final = 0.1
"""The part of a tick that two decisions are apart at least, however urgent the news."""
THRIFT: Final = 40.0
"""How often longer than a decision takes two are apart at least: many pods are looked at less often
before their tick than few. What follows of a decision, grants and answers, costs as much again."""
LINGER: Final = 10.0
"""Seconds that ticks go on after the last news, at least: until the last views are shown."""
PROMPT: Final = 1.0
"""Seconds between two views that differ in what people act on."""
LIVE: Final = 5.0
"""Seconds between two views that differ in numbers of the moment."""

Views = Mapping[str, tuple[LimitView, ...]]
"""Limits by provider."""
Took = Callable[[float], None]

log = logging.getLogger(__name__)


class Tuned(Protocol):
    """What the tuner needs of one gateway's pods; `group.Group` is one."""

    @property
    def target(self) -> Target:
        """What is wanted."""

    def pod_states(self) -> Iterable[PodState]:
        """The pods there are, with what they reported."""

    def grant(self, uid: str, grant: Grant) -> None:
        """Tell a pod what it may use."""

    def show(self, limits: Views) -> None:
        """Let the reconciler see what is known of the limits."""


class Tuning:
    """Asks the tuner, in a timer of its own, from `news` to `news`.

    Args:
        groups: the pods of all gateways.
        term: the leadership.
        pace: how often.
        took: told of the seconds that each decision took.

    Attributes:
        views: what is known of the limits, by gateway and provider: as of the last decision.
        changes: how often ceilings went up and down, by (gateway, provider, model, lowered).
    """

    def __init__(
        self, groups: Mapping[Key, Tuned], term: Term, pace: Pace, took: Took = lambda _: None
    ) -> None:
        self.views: dict[Key, dict[str, tuple[LimitView, ...]]] = {}
        self.changes: Counter[tuple[str, str, str, bool]] = Counter()
        self._groups = groups
        self._term = term
        self._pace = pace
        self._took = took
        self._tuner = Tuner(pace, term.epoch, term.known)
        self._publications: dict[Key, Publication] = {}
        self._loop = asyncio.get_running_loop()
        self._clock_zero = time.time() - self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._ticked = float("-inf")
        self._until = float("-inf")
        self._cost = 0.0

    def news(self, *, urgent: bool = False) -> None:
        """Decide at the next tick; or before it, where something is urgent."""
        now = self._loop.time()
        # Until raises that are told as one have been told, too.
        self._until = now + max(LINGER, self._pace.tell + self._pace.settle)
        tick = self._pace.tick
        soon = max(HURRY * tick, min(tick, THRIFT * self._cost))
        self._arm(self._ticked + (soon if urgent else tick), now)

    def forget(self, key: Key) -> None:
        """Lose what was shown of a gateway that is gone."""
        self.views.pop(key, None)
        self._publications.pop(key, None)
        for change in [change for change in self.changes if change[0] == str(key)]:
            del self.changes[change]
        self.news()

    def close(self) -> None:
        """Decide nothing any more."""
        self._until = float("-inf")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- one decision --------------------------------------------------------------------

    def _arm(self, when: float, now: float) -> None:
        when = max(when, now)
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer, now = None, self._loop.time()
        self._ticked = now
        if now < self._until:
            self._arm(now + self._pace.tick, now)
        if not self._term.leads():
            return  # whoever leads now grants; what this one has said stays said
        started = time.perf_counter()
        try:
            self._decide(now)
        except Exception:  # pods go on with what they hold; the next tick is another try
            log.exception("tuning failed")
        took = time.perf_counter() - started
        self._cost += (took - self._cost) / 4  # one that was held up says little
        self._took(took)

    def _decide(self, now: float) -> None:
        pods = [state for group in self._groups.values() for state in group.pod_states()]
        specs = self._specs()
        decision = self._tuner.tick(now, pods, specs)
        owners = {state.uid: state.gateway for state in pods}
        groups = {str(key): group for key, group in self._groups.items()}
        for uid, grant in decision.grants.items():
            groups[owners[uid]].grant(uid, grant)
        # With mode Off nothing is decided: what would be believed is nobody's news.
        self._announce(
            [c for c in decision.changes if _mode(specs, c.gateway, c.provider) != "Off"]
        )
        self._show(decision, now)

    def _specs(self) -> dict[tuple[str, str], AccountSpec]:
        return {
            (str(key), provider): spec
            for key, group in self._groups.items()
            for provider, spec in group.target.accounts.items()
        }

    def _announce(self, changes: Sequence[Change]) -> None:
        keys = {str(key): key for key in self._groups}
        for change in changes:
            self.changes[change.gateway, change.provider, change.model, change.lowered] += 1
            fields = {"gateway": change.gateway, "change": str(change)}
            log.info("ceiling changed", extra={"fields": fields})
            if (key := keys.get(change.gateway)) is not None:
                self._term.announce(key, change)

    def _show(self, decision: Decision, now: float) -> None:
        found: dict[str, dict[str, tuple[LimitView, ...]]] = {}
        for (gateway, provider), views in decision.views.items():
            found.setdefault(gateway, {})[provider] = one_of_each(views)
        for key, group in self._groups.items():
            views_of = self.views[key] = found.get(str(key), {})
            publication = self._publications.setdefault(key, Publication())
            if publication.take(views_of, now):
                group.show({name: self._dated(views) for name, views in views_of.items()})

    def _dated(self, views: Iterable[LimitView]) -> tuple[LimitView, ...]:
        """Give the changes their time of day, by one offset for the whole leadership."""
        return tuple(
            replace(
                view,
                recent=[replace(c, at=c.at + self._clock_zero) for c in view.recent],
            )
            for view in views
        )


def _mode(specs: Mapping[tuple[str, str], AccountSpec], gateway: str, provider: str) -> Mode:
    spec = specs.get((gateway, provider))
    return spec.mode if spec is not None else "Off"


def one_of_each(views: Sequence[LimitView]) -> tuple[LimitView, ...]:
    """One view of each model: while a credential is replaced, of the account that most pods use."""
    found: dict[str, LimitView] = {}
    for view in views:
        other = found.get(view.model)
        if other is None or _weight(view) >= _weight(other):
            found[view.model] = view
    return tuple(found.values())


def _weight(view: LimitView) -> tuple[int, int]:
    return len(view.shares), view.in_flight + view.waiting


class Publication:
    """Decides when a gateway's views are shown anew: what is shown is written into its status."""

    def __init__(self) -> None:
        self._shown: Views = {}
        self._gist: object = None
        self._at = float("-inf")

    def take(self, views: Views, now: float) -> bool:
        """Tell whether these are to be shown now; if so they count as shown."""
        if views == self._shown:
            return False
        gist = _gist(views)
        apart = LIVE if gist == self._gist else PROMPT
        if now - self._at < apart:
            return False
        self._shown, self._gist, self._at = views, gist, now
        return True


def _gist(views: Views) -> object:
    """What people act on: ceilings and that they are kept; not the numbers of the moment."""
    return [
        (provider, view.model, view.ceiling, view.stated, view.state in ("Frozen", "Listening"))
        for provider, of_provider in views.items()
        for view in of_provider
    ]


def urgent(before: Report | None, after: Report) -> bool:
    """Tell whether requests began to wait, one was refused, or slots came free for others."""
    if before is not None and frees(before, after):
        return True
    known = {(limit.provider, limit.model): limit for limit in before.limits} if before else {}
    same = before is not None and before.since == after.since
    return any(
        _worse(known.get((limit.provider, limit.model)) if same else None, limit)
        for limit in after.limits
    )


def _worse(before: LimitReport | None, after: LimitReport) -> bool:
    if before is None:
        return bool(after.waiting or after.rate_waiting or after.refusals.get("concurrency"))
    return (
        (after.waiting > 0 and not before.waiting)
        or (after.rate_waiting > 0 and not before.rate_waiting)
        or after.refusals.get("concurrency", 0) > before.refusals.get("concurrency", 0)
    )


def tuned_part(target: Target) -> object:
    """The part of a target that the tuner looks at."""
    pods = [(pod.uid, pod.ip, pod.deleting, pod.ended) for pod in target.pods]
    return pods, target.accounts, target.born_here


def peer_address(ip: str) -> str:
    """Address of a pod's peer port; empty where it has none."""
    if not ip:
        return ""
    return f"[{ip}]:{PEER_PORT}" if ":" in ip else f"{ip}:{PEER_PORT}"
