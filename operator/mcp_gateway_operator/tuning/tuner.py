"""The tuner: what every pod may use of every account, decided anew at each tick."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from mcp_gateway.api.control import Grant
from mcp_gateway.api.quota import MAX_LIMITS
from mcp_gateway_operator.tuning.account import Attendance, Limit
from mcp_gateway_operator.tuning.change import Change
from mcp_gateway_operator.tuning.fact import AccountSpec, PodState
from mcp_gateway_operator.tuning.grant import Herald
from mcp_gateway_operator.tuning.pace import Pace
from mcp_gateway_operator.tuning.picture import views
from mcp_gateway_operator.tuning.pod import NOTHING, Member, Pod, Site
from mcp_gateway_operator.tuning.view import Decision

MOST_LIMITS: Final = 20_000
"""Limits that are remembered without anybody who uses them."""


class Tuner:
    """Keeps accounts full and never overrun.

    Not to be called concurrently. One leadership has one; the next one begins with another and
    the ceilings that this one found.

    Args:
        pace: its time constants.
        epoch: number of the leadership it speaks for.
        known: ceilings found by the leader before, by gateway, provider and model.
    """

    def __init__(
        self, pace: Pace, epoch: int, known: Mapping[tuple[str, str, str], int] | None = None
    ) -> None:
        self._pace = pace
        self._epoch = epoch
        self._known = dict(known or {})
        self._pods: dict[str, Pod] = {}
        self._limits: dict[tuple[str, str], Limit] = {}
        self._herald = Herald(pace, epoch)
        self._began = float("nan")

    def tick(
        self, now: float, pods: Sequence[PodState], specs: Mapping[Site, AccountSpec]
    ) -> Decision:
        """Decide. To be called once a tick, and oftener where a report came that frees slots.

        Args:
            now: seconds of a monotonic clock, the one that `PodState.heard` is told by.
            pods: every pod that is not known to be gone, of every gateway.
            specs: by gateway and provider.
        """
        if math.isnan(self._began):
            self._began = now
        self._meet(now, pods)
        for pod in self._pods.values():
            self._listen(now, pod)
            self._complete(pod, specs)
        attendance = self._attendance()
        strangers = now - self._began < self._pace.listen and self._strangers(attendance, specs)
        changes: list[Change] = []
        for limit in list(self._limits.values()):
            moved = limit.decide(now, specs, attendance, self._known, strangers=strangers)
            if moved is not None:
                sites = sorted({m.site for m in limit.members.values() if m.spec is not None})
                changes += [moved.of(*site, limit.model) for site in sites]
        around: dict[tuple[str, str, str, str], list[Member]] = {}
        for limit in self._limits.values():
            for member in limit.members.values():
                key = (*member.site, member.account, member.model)
                around.setdefault(key, []).append(member)
        grants: dict[str, Grant] = {}
        for uid, pod in self._pods.items():
            grant = self._herald.speak(now, pod, self._limits, around)
            if grant is not None:
                grants[uid] = grant
        self._forget(now)
        return Decision(grants, views(now, self._limits, around, specs), changes)

    # --- who is there -------------------------------------------------------------------

    def _meet(self, now: float, states: Sequence[PodState]) -> None:
        """Take note of who came and who is gone."""
        there = {state.uid: state for state in states}
        for uid in [uid for uid in self._pods if uid not in there]:
            for member in self._pods.pop(uid).members.values():
                self._limits[member.account, member.model].leave(now, member)
        for uid, state in there.items():
            pod = self._pods.get(uid)
            if pod is None:
                self._pods[uid] = Pod(state)
            else:
                pod.state = state

    def _attendance(self) -> dict[str, Attendance]:
        """Count by gateway who can be heard. Pods that only just came or that go do not count."""
        found: dict[str, Attendance] = {}
        for pod in self._pods.values():
            state = pod.state
            one = found.setdefault(state.gateway, Attendance())
            if not pod.heard and not state.born_here:
                one.unheard += 1
            if state.deleting or (state.born_here and not pod.heard):
                continue
            one.pods += 1
            one.missing += not pod.reachable
        return found

    def _strangers(
        self, attendance: Mapping[str, Attendance], specs: Mapping[Site, AccountSpec]
    ) -> bool:
        """Whether there are fleets of whose accounts nothing is known, and that may hold shares."""
        familiar = {m.site[0] for one in self._limits.values() for m in one.members.values()}
        governed = {site[0] for site, spec in specs.items() if spec.mode == "Auto"}
        return any(
            one.unheard and gateway in governed and gateway not in familiar
            for gateway, one in attendance.items()
        )

    # --- what they say ------------------------------------------------------------------

    def _listen(self, now: float, pod: Pod) -> None:
        report = pod.state.report
        # What it counted under another leader has been acted upon.
        inherited = not (pod.heard or pod.state.born_here)
        restarted = None if report is None else pod.accept(report, self._epoch)
        if report is None or restarted is None:
            return
        accounts: dict[str, str] = {}
        told: set[tuple[str, str]] = set()
        for one in report.limits:
            if one.account:
                key = (one.provider, one.model)
                told.add(key)
                accounts[one.provider] = one.account
                member = pod.members.get(key)
                if member is None or member.account != one.account:
                    member = self._join(now, pod, *key, one.account)
                if member is not None:
                    member.hear(now, one, restarted=restarted, inherited=inherited)
        for key, member in list(pod.members.items()):
            if key in told:
                continue
            if accounts.get(member.provider) == member.account:
                member.hear(now, NOTHING, restarted=restarted)
            else:
                self._part(now, member)

    def _join(self, now: float, pod: Pod, provider: str, model: str, account: str) -> Member | None:
        before = pod.members.get((provider, model))
        if before is not None:
            self._part(now, before)
        elif len(pod.members) >= MAX_LIMITS:
            return None
        limit = self._limits.get((account, model))
        if limit is None:
            limit = Limit(account, model, self._pace, self._began)
            self._limits[account, model] = limit
        member = pod.members[provider, model] = Member(pod, provider, model, account, self._pace)
        limit.join(member)
        return member

    def _part(self, now: float, member: Member) -> None:
        del member.pod.members[member.provider, member.model]
        self._limits[member.account, member.model].leave(now, member)

    def _complete(self, pod: Pod, specs: Mapping[Site, AccountSpec]) -> None:
        """Give a pod its part of stated models too that it did not use yet.

        So a first request of one need not wait for a grant.
        """
        for (provider, model), member in list(pod.members.items()):
            spec = specs.get(member.site)
            if model or spec is None or not spec.by_model:
                continue
            for name, limits in spec.limits.by_model.items():
                if limits.concurrency is not None and (provider, name) not in pod.members:
                    self._join(pod.state.heard or 0.0, pod, provider, name, member.account)

    def _forget(self, now: float) -> None:
        """Let go of limits that nobody uses any more."""
        empty = [one for one in self._limits.values() if one.empty]
        excess = len(empty) - MOST_LIMITS
        for place, limit in enumerate(sorted(empty, key=lambda one: one.idle_since)):
            if place < excess or now - limit.idle_since > self._pace.linger:
                del self._limits[limit.account, limit.model]
