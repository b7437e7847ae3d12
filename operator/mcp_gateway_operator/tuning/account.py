"""One limit of one account: everybody who uses it, its ceiling and its rates, in one place.

An account is an origin and a credential, wherever they are used: pods of several gateways, and
several providers of one pod, may share one. Where the provider limits every model by itself, each
model is a limit of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mcp_gateway.api import AccountLimits, ModelLimits
from mcp_gateway.api.provider import SEED_MAX_OVERFLOW, SEED_POOL_SIZE
from mcp_gateway_operator.tuning.ceiling import LEARNING, Ceiling, Seen
from mcp_gateway_operator.tuning.change import Journal, Moved
from mcp_gateway_operator.tuning.fact import AccountSpec
from mcp_gateway_operator.tuning.held import Part
from mcp_gateway_operator.tuning.pace import Pace
from mcp_gateway_operator.tuning.pod import Member, Site
from mcp_gateway_operator.tuning.rates import Rate
from mcp_gateway_operator.tuning.slots import Seats


@dataclass(slots=True)
class Attendance:
    """Who of one gateway's pods is there.

    Attributes:
        pods: that are to be heard.
        missing: of those, how many cannot be heard now.
        unheard: pods that another leader may have granted anything, and that were not heard yet.
    """

    pods: int = 0
    missing: int = 0
    unheard: int = 0


class Limit:
    """Watches one limit and divides it.

    Args:
        account: identity of the account.
        model: the model, where the provider limits every model by itself; else empty.
        pace: time constants.
        began: when this leadership did.

    Attributes:
        members: by pod uid and provider, who uses it.
        ceiling: None where slots are not governed.
        requests, tokens: the rates.
        journal: what people were told of the ceiling.
        frozen: why the ceiling is not moved; empty while it is.
        listening: a new leader has not heard everybody yet.
        idle_since: when the last member left or fell silent about it.
    """

    def __init__(self, account: str, model: str, pace: Pace, began: float) -> None:
        self.account = account
        self.model = model
        self.members: dict[tuple[str, str], Member] = {}
        self.ceiling: Ceiling | None = None
        self.requests = Rate(tokens=False)
        self.tokens = Rate(tokens=True)
        self.journal = Journal(None, pace.tell)
        self.frozen = ""
        self.listening = False
        self.idle_since = 0.0
        self._pace = pace
        self._seats = Seats(pace.turn)
        self._before: int | None = None
        self._claimed = 0
        self._opened = float("inf")
        self._began = began
        self._inherited = False
        self._unsure_until = float("-inf")
        self._next_step = float("-inf")
        self._next_tidy = float("-inf")

    @property
    def empty(self) -> bool:
        """Nobody uses it."""
        return not self.members

    def waits(self, now: float) -> bool:
        """Nothing is said yet to pods that this leader has told nothing."""
        return self.listening and now - self._opened < self._pace.listen

    def join(self, member: Member) -> None:
        """Count somebody in."""
        self.members[member.pod.state.uid, member.provider] = member

    def leave(self, now: float, member: Member) -> None:
        """Count somebody out: a pod that is gone, or one that uses another account by now.

        What still runs under a former credential its pod goes on telling, by another name.
        """
        key = (member.pod.state.uid, member.provider)
        if self.members.pop(key, None) is None:
            return
        self.idle_since = now
        # A leader who does not know yet that it is none may have seen it go, too, and have given
        # what it left to one that was not heard yet.
        self._claimed -= member.slots.first if member.slots is not None else 0
        for rate in (self.requests, self.tokens):
            rate.bury(now, self._pace.minute, member)

    def decide(
        self,
        now: float,
        specs: Mapping[Site, AccountSpec],
        attendance: Mapping[str, Attendance],
        known: dict[tuple[str, str, str], int],
        *,
        strangers: bool,
    ) -> Moved | None:
        """Move the ceiling and divide anew.

        Args:
            now: seconds.
            specs: the documents.
            attendance: by gateway.
            known: ceilings that a leader before found; what is used is taken out.
            strangers: there are fleets of which it is not known whether they use this account.

        Returns:
            What is to be told of the ceiling.
        """
        self._opened = min(self._opened, now)
        sites = {member.site: specs.get(member.site) for member in self.members.values()}
        found = [spec for spec in sites.values() if spec is not None]
        for member in self.members.values():
            member.spec = sites[member.site]
        seats = [attendance[site[0]] for site in sites if site[0] in attendance]
        unheard = strangers or any(one.unheard for one in seats)
        self.listening = unheard
        self._freeze(found, seats)
        stated = self._state(found)
        self._open(sites, found, known, stated)
        self._prepare(now)
        moved = self._step(now, any(spec.mode == "Auto" for spec in found))
        self._divide(now, unheard=unheard)
        return moved

    # --- what the documents say ---------------------------------------------------------

    def _limits(self, spec: AccountSpec) -> AccountLimits | ModelLimits:
        if not self.model:
            return spec.limits
        return spec.limits.by_model.get(self.model) or ModelLimits()

    def _state(self, specs: Iterable[AccountSpec]) -> int | None:
        limits = [self._limits(spec) for spec in specs]
        self.requests.stated = _least(one.requests_per_minute for one in limits)
        self.tokens.stated = _least(one.tokens_per_minute for one in limits)
        return _least(one.concurrency for one in limits)

    def _freeze(self, specs: Iterable[AccountSpec], seats: Iterable[Attendance]) -> None:
        pods = missing = 0
        for one in seats:
            pods += one.pods
            missing += one.missing
        if any(spec.frozen for spec in specs):
            self.frozen = "a person froze it"
        elif missing * 3 > pods:
            self.frozen = f"{missing} of {pods} pods are not heard"
        else:
            self.frozen = ""

    def _open(
        self,
        sites: Iterable[Site],
        specs: list[AccountSpec],
        known: dict[tuple[str, str, str], int],
        stated: int | None,
    ) -> None:
        """Begin with a ceiling; or take another stated one."""
        if not specs or (not self.model and any(spec.by_model for spec in specs)):
            self.ceiling = self.ceiling if not specs else None
            return
        if self.ceiling is not None:
            self.ceiling.restate(stated)
            return
        keys = [(*site, self.model) for site in sites]
        found = [known.pop(key) for key in keys if key in known]
        self._inherited = bool(found)
        if found:
            start, reason = min(found), "found by the leader before"
            self.journal = Journal(start, self._pace.tell)
        elif stated is not None:
            start, reason = stated, f"the document states {stated}"
        else:
            start, reason = LEARNING * len(self.members), "no limit is stated: it is learned"
        self.ceiling = Ceiling(self._pace, start, stated, reason)
        # What pods that were not heard yet hold of it is known by no smaller bound than this.
        self._before = stated if stated is not None else min(found, default=None)

    # --- what the pods say --------------------------------------------------------------

    def _prepare(self, now: float) -> None:
        """Give every member its parts, and believe those that were told nothing yet."""
        for member in self.members.values():
            self._prepare_slots(member)
            if member.slots is not None:
                # Longer than a request can last nothing is above a share that was taken.
                member.slots.expire(now, self._pace.linger)
            for rate in (self.requests, self.tokens):
                rate.prepare(member, rate.stated)
            member.governed = member.auto
            member.fresh = False

    def _prepare_slots(self, member: Member) -> None:
        if self.ceiling is None:
            member.slots = None
            return
        turned = member.governed != member.auto
        doubted = member.fresh and not (member.auto and member.pod.last)
        if member.slots is not None and not (turned or doubted):
            return
        report, most = member.report, max(self.ceiling.value, self._before or 0)
        told = report.limit if report.share is None else report.share
        claim = min(told, most) if member.auto else 0
        if not member.auto and self.ceiling.stated is None:
            most = max(most, _ungoverned(member))
        # Nobody can have more in flight than there is: such a number says nothing.
        used = report.in_flight if report.in_flight <= most else 0
        if member.slots is None:
            member.slots = Part(claim, used)
            self._claimed += member.slots.first
        else:
            member.slots.reclaim(claim, used)

    def _seen(self) -> Seen:
        in_flight = at_refusal = refused = waiting = rated = kept = 0
        for member in self.members.values():
            report = member.report
            in_flight += member.slots.used if member.slots is not None else 0
            at_refusal += member.at_refusal()
            refused += member.fresh_refusals
            if member.pod.reachable:
                waiting += report.waiting
                rated += report.rate_waiting
            if member.slots is not None and not member.slots.waiting:
                kept += member.slots.held > member.slots.used
        return Seen(in_flight, at_refusal, refused, waiting, rated > 0, kept if waiting else 0)

    def _step(self, now: float, auto: bool) -> Moved | None:
        ceiling = self.ceiling
        # A little early is in time: ticks do not come to the millisecond.
        if ceiling is None or now < self._next_step - self._pace.tick / 10:
            return None
        self._next_step = now + self._pace.tick
        seen = self._seen()
        if not self.frozen:
            if auto or seen.refused:
                ceiling.step(now, seen)
            else:
                ceiling.observe(seen)
        for member in self.members.values():
            member.fresh_refusals = 0
        return self.journal.note(now, ceiling.value, ceiling.reason, ceiling.stated)

    # --- who gets what ------------------------------------------------------------------

    def _divide(self, now: float, *, unheard: bool) -> None:
        members = self.members.values()
        tidy = now >= self._next_tidy
        if tidy:
            self._next_tidy = now + self._pace.settle
        value = self.ceiling.value if self.ceiling is not None else None
        takers = self._seats.choose(value, self.requests.stated, members)
        if self.ceiling is not None:
            self._divide_slots(now, self.ceiling, takers, unheard=unheard, tidy=tidy)
        for rate in (self.requests, self.tokens):
            if rate.stated is not None:
                others = rate.ghosts(now) + self._unsure(now, rate, rate.stated, unheard=unheard)
                rate.divide(now, self._pace.minute, members, takers, others=others, tidy=tidy)
        if self.waits(now):
            for part in (part for member in members for part in member.parts):
                # Its word alone does not tell it from what another holds who is silent yet.
                if not part.confirmed:
                    part.wanted = part.last

    def _divide_slots(
        self, now: float, ceiling: Ceiling, takers: list[Member], *, unheard: bool, tidy: bool
    ) -> None:
        members = self.members.values()
        reserve = _reserve(self._before, self._claimed, unheard)
        parts = [member.slots for member in members if member.slots is not None]
        others = max(0, min(reserve, ceiling.value - sum(part.held for part in parts)))
        self._seats.divide(now, ceiling.value, members, takers, others=others, tidy=tidy)
        if ceiling.resting(now):
            for part in parts:
                part.wanted = min(part.wanted, part.last)

    def _unsure(self, now: float, rate: Rate, stated: int, *, unheard: bool) -> int:
        """What may have been begun by pods that went before they were heard.

        For a minute after a change of leaders, nobody can tell.
        """
        if rate.claimed > 0 or self._inherited:
            since = now if unheard else self._began
            self._unsure_until = max(self._unsure_until, since + self._pace.minute)
        reserve = _reserve(stated, rate.claimed, unheard or now < self._unsure_until)
        parts = (rate.part(member) for member in self.members.values())
        held = sum(part.held for part in parts if part is not None)
        return max(0, min(reserve, stated - held))


def _least(stated: Iterable[int | None]) -> int | None:
    return min((one for one in stated if one is not None), default=None)


def _ungoverned(member: Member) -> int:
    """The most a pod has in flight by itself where no limit is known: its pool, and no more."""
    cap = member.spec.pod_cap if member.spec is not None else None
    return SEED_POOL_SIZE + SEED_MAX_OVERFLOW if cap is None else cap


def _reserve(before: int | None, claimed: int, unheard: bool) -> int:
    """What pods that were not heard yet may hold, by what all of them may."""
    return max(0, before - claimed) if unheard and before is not None else 0
