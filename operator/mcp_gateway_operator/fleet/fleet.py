"""All gateways' pods: what `facts.Fleet` asks for, over control channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

from mcp_gateway.api.control import PORT
from mcp_gateway_operator.facts import FleetView, Key, Pod, Target, Term
from mcp_gateway_operator.fleet.channel import Dial
from mcp_gateway_operator.fleet.group import Group
from mcp_gateway_operator.fleet.tuning import Tuning
from mcp_gateway_operator.fleet.wire import Dialer
from mcp_gateway_operator.metrics import ConfigSample, LimitSample, Metrics
from mcp_gateway_operator.tuning import LimitView, Pace


class PodFleet:
    """Holds a group of channels for each gateway; a `facts.Fleet`.

    Args:
        port: of the pods' control ports.
        dialer: opens channels; by default over the network.
        metrics: where answers, reports and decisions are counted, and limits are shown.
        pace: how often limits are divided anew.
    """

    def __init__(
        self,
        *,
        port: int = PORT,
        dialer: Dial | None = None,
        metrics: Metrics | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._port = port
        self._pace = pace or Pace()
        self._metrics = metrics or Metrics()
        self._metrics.watched.limits = self._limit_samples
        self._metrics.watched.configs = self._config_samples
        self._tuning: Tuning | None = None
        self._given_dialer = dialer
        self._dialer: Dial | None = None
        self._on_change: Callable[[Key], None] = _nobody
        self._groups: dict[Key, Group] = {}
        self._endings: set[asyncio.Task[None]] = set()

    def start(self, on_change: Callable[[Key], None], term: Term) -> None:
        """See `facts.Fleet`."""
        self._on_change = on_change
        self._dialer = self._given_dialer or Dialer()
        took = self._metrics.tick_seconds.observe
        self._tuning = Tuning(self._groups, term, self._pace, took)

    def assign(self, key: Key, target: Target) -> None:
        """See `facts.Fleet`."""
        tuning = self._tuning
        assert self._dialer is not None, "started before anything is assigned"
        assert tuning is not None, "started before anything is assigned"
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(
                key,
                target,
                dialer=self._dialer,
                changed=lambda: self._on_change(key),
                news=lambda urgent: tuning.news(urgent=urgent),
                reported=self._metrics.reports.inc,
                end=self._finish,
                pushed=self._answered,
                port=self._port,
                report_every=self._pace.tick,
            )
        group.assign(target)

    def follow(self, key: Key, pods: tuple[Pod, ...], born_here: frozenset[str]) -> None:
        """See `facts.Fleet`."""
        group = self._groups.get(key)
        if group is not None:
            group.assign(replace(group.target, pods=pods, born_here=born_here))

    def view(self, key: Key) -> FleetView:
        """See `facts.Fleet`."""
        group = self._groups.get(key)
        return group.view if group is not None else FleetView()

    def forget(self, key: Key) -> None:
        """See `facts.Fleet`."""
        group = self._groups.pop(key, None)
        if group is not None:
            group.close()
        if self._tuning is not None:
            self._tuning.forget(key)

    async def aclose(self) -> None:
        """See `facts.Fleet`."""
        self._on_change = _nobody
        if self._tuning is not None:
            self._tuning.close()
            self._tuning = None
        for key in list(self._groups):
            self.forget(key)
        if self._endings:
            await asyncio.wait(set(self._endings))

    def _finish(self, ending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(ending, name="close a channel")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def _answered(self, outcome: str, seconds: float) -> None:
        self._metrics.push_seconds.labels(outcome).observe(seconds)

    # --- what is shown -------------------------------------------------------------------

    def _limit_samples(self) -> Iterator[LimitSample]:
        tuning = self._tuning
        if tuning is None:
            return
        for key, providers in tuning.views.items():
            accounts = self._groups[key].target.accounts if key in self._groups else {}
            for provider, views in providers.items():
                off = provider not in accounts or accounts[provider].mode == "Off"
                for view in views:
                    labels = (str(key), provider, view.model)
                    raised = tuning.changes[(*labels, False)]
                    lowered = tuning.changes[(*labels, True)]
                    named = (key.namespace, key.name, provider, view.model)
                    yield LimitSample(named, _values(view, off=off), raised, lowered)

    def _config_samples(self) -> Iterator[ConfigSample]:
        for key, group in self._groups.items():
            target, known = group.target, group.view.pods
            live = [pod.name for pod in target.pods if not pod.deleting]
            wanted = target.wanted.generation
            applied = sum(1 for name in live if name in known and known[name].generation == wanted)
            yield ConfigSample((key.namespace, key.name), len(live), applied)


def _values(view: LimitView, *, off: bool) -> dict[str, float]:
    """Figures of one limit, by their names in `metrics.TUNING`; with mode Off of its use alone."""
    if off:
        return {"in_flight": float(view.in_flight), "waiting": float(view.waiting)}
    recommended = view.recommendation.target if view.recommendation else None
    found: dict[str, int | None] = {
        "ceiling": view.ceiling,
        "stated": view.stated,
        "granted": view.granted if view.ceiling is not None else None,
        "in_flight": view.in_flight,
        "waiting": view.waiting,
        "recommended": recommended,
        "frozen": int(view.state == "Frozen"),
    }
    for name, rate in (("requests", view.requests), ("tokens", view.tokens)):
        if rate is not None:
            found[f"{name}_per_minute"] = rate.granted
            found[f"{name}_per_minute_stated"] = rate.stated
    return {name: float(value) for name, value in found.items() if value is not None}


def _nobody(_: Key) -> None:
    """Tell nobody: there is no leadership."""
