"""Who may hold slots of an account, and how they are divided.

Where there are slots for all, every pod holds some. Where there are fewer than pods, or a rate is
too small to be cut in as many pieces, one pod of a gateway holds them and the others send their
requests there: one queue, in which nobody waits while a slot is free somewhere else. The slots
stay where they are for as long as their pod is there, because moving one means that it stands
empty for a while. Pods reach only pods of their own gateway, so every gateway has a holder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from mcp_gateway_operator.tuning.held import Part
from mcp_gateway_operator.tuning.pod import Member, Site
from mcp_gateway_operator.tuning.shares import Claim, divide

MOST_PEERS: Final = 8
"""Peers that one pod is told of one limit."""


class Seats:
    """Chooses who holds slots.

    Args:
        turn: seconds after which a slot that is too few goes on to the next gateway.

    Attributes:
        few: there are fewer slots than it takes to give every pod some.
    """

    __slots__ = ("_holders", "_turn", "_turned_at", "_turns", "few")

    def __init__(self, turn: float) -> None:
        self._turn = turn
        self._turned_at = 0.0
        self._turns = 0
        self._holders: dict[Site, list[Member]] = {}
        self.few = False

    def choose(
        self, ceiling: int | None, requests: int | None, members: Iterable[Member]
    ) -> list[Member]:
        """Who takes part in the division.

        Args:
            ceiling: slots there are; None where they are not governed.
            requests: requests a minute that are allowed; None where that is not stated.
            members: everybody who uses the limit.
        """
        present = [m for m in members if m.auto and not m.pod.state.deleting]
        takers = [m for m in present if m.grantable]
        pods = len(present)
        # Left later than entered, so a ceiling that moves by one does not move every slot.
        slots_each, starts_each = (2.0, 5.0) if self.few else (1.5, 4.0)
        self.few = pods > 1 and (
            (ceiling is not None and ceiling < slots_each * pods)
            or (requests is not None and requests < starts_each * pods)
        )
        if not self.few:
            self._holders = {}
            return takers
        by_site: dict[Site, list[Member]] = {}
        for member in takers:
            by_site.setdefault(member.site, []).append(member)
        kept = {id(m): m for m in present if m.grantable or (m.slots is not None and m.slots.held)}
        self._holders = {
            site: self._seat(ceiling, kept, self._holders.get(site, []), found)
            for site, found in by_site.items()
        }
        return [m for seated in self._holders.values() for m in seated if m.grantable]

    def _seat(
        self,
        ceiling: int | None,
        present: dict[int, Member],
        before: Sequence[Member],
        candidates: Sequence[Member],
    ) -> list[Member]:
        seated = [m for m in before if id(m) in present]
        cap = candidates[0].spec.pod_cap if candidates[0].spec is not None else None
        room = 1 if not cap else -(-(ceiling or 1) // cap)
        # One that cannot be spoken to keeps what it holds: the rest of the slots need another.
        room = min(room, len(candidates)) + sum(not member.grantable for member in seated)
        if len(seated) < room:
            others = [m for m in candidates if m not in seated]
            others.sort(key=_worth)
            seated += others[: room - len(seated)]
        return seated[:room]

    def divide(
        self,
        now: float,
        ceiling: int,
        members: Iterable[Member],
        takers: Sequence[Member],
        *,
        others: int,
        tidy: bool,
    ) -> None:
        """Decide on the slots of the takers; nobody else gets more than before."""
        ours = {id(member) for member in takers}
        claims: list[Claim] = []
        loose = 0
        for member in members:
            part = member.slots
            if part is None:
                continue
            if member.grantable:
                claims.append(_claim(member, part, ceiling, seated=id(member) in ours))
            elif member.auto:
                part.wanted = 0 if member.pod.state.deleting else part.last
                others += part.held
            else:
                loose += part.held
        if loose and claims:
            # Nothing bounds what pods without an operator use: they cannot take all of it.
            others += min(loose, ceiling - min(ceiling, len(claims)))
        if self.few:
            self._pool(claims, members, takers)
            claims = self._rotate(now, claims, ceiling)
        divide(ceiling, claims, others=others, tidy=tidy)

    def _pool(
        self, claims: Sequence[Claim], members: Iterable[Member], takers: Sequence[Member]
    ) -> None:
        """Let holders ask for everybody whose requests come to them."""
        wish: dict[Site, tuple[int, bool]] = {}
        for member in members:
            if member.slots is not None and member.auto:
                asked, waiting = wish.get(member.site, (0, False))
                wish[member.site] = (
                    asked + member.slots.demand,
                    waiting or member.slots.waiting,
                )
        for member in takers:
            if member.slots is None:
                continue
            asked, waiting = wish[member.site]
            member.slots.demand = -(-asked // len(self._holders[member.site]))
            member.slots.waiting = waiting
            member.slots.pressed = member.slots.pressed or waiting

    def _rotate(self, now: float, claims: list[Claim], ceiling: int) -> list[Claim]:
        """Where there are fewer slots than gateways, let another one have its turn."""
        seated = [claim for claim in claims if claim.cap != 0]
        if len(seated) <= ceiling:
            return claims
        if now - self._turned_at >= self._turn:
            self._turned_at = now
            self._turns += 1
        first = self._turns % len(seated)
        return [*seated[first:], *seated[:first], *(claim for claim in claims if claim.cap == 0)]


def peers_of(member: Member, site: Sequence[Member]) -> list[tuple[str, int]]:
    """Where a pod without slots sends its requests: addresses and slots, the most slots first."""
    if member.slots is None or member.slots.wanted:
        return []
    found = [
        (other.pod.state.address, other.slots.wanted)
        for other in site
        if other is not member
        and other.slots is not None
        and other.slots.wanted
        and other.pod.state.address
        and not other.pod.state.deleting
    ]
    found.sort(key=lambda peer: (-peer[1], peer[0]))
    return found[:MOST_PEERS]


def _claim(member: Member, part: Part, ceiling: int, *, seated: bool) -> Claim:
    waiting = min(member.report.waiting, ceiling)
    part.demand = min(ceiling, part.used + waiting)
    part.waiting = waiting > 0
    part.pressed = seated and (waiting > 0 or part.used >= part.last)
    if not seated:
        return Claim(part, cap=0)
    return Claim(part, floor=1, cap=member.spec.pod_cap if member.spec is not None else None)


def _worth(member: Member) -> tuple[bool, int, int, str]:
    """Who should hold slots first: who can be reached, and who has some already."""
    part = member.slots
    held, demand = (part.held, part.demand) if part is not None else (0, 0)
    return (not member.pod.state.address, -held, -demand, member.pod.state.uid)
