"""Division of an account's requests and tokens per minute, by the law that divides its slots.

What is "in use" of a rate is what began within the last minute, and every pod starts no more than
its part within any minute. So the parts may add up to all of the rate, and what one pod gives up
is another's only as its last minute passes. A pod that is gone leaves its minute behind.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from mcp_gateway_operator.tuning.held import Part
from mcp_gateway_operator.tuning.pod import Member
from mcp_gateway_operator.tuning.shares import Claim, divide

NEARLY: Final = 0.9
"""A pod that has begun this much of its part is about to need more."""

GRAIN: Final = 0.1
"""What a part may be short of its due before another is asked for it: what that gives up takes a
minute to become free."""

TYPICAL_TOKENS: Final = 1_000
"""Tokens of a request where none was seen yet."""


class Rate:
    """One rate of one account.

    Args:
        tokens: it counts tokens; else requests.

    Attributes:
        stated: what the provider allows a minute; None where nothing is stated.
        claimed: what the pods that were heard held when they were first heard.
    """

    __slots__ = ("_ghosts", "_tokens", "claimed", "stated")

    def __init__(self, *, tokens: bool) -> None:
        self._tokens = tokens
        self._ghosts: list[tuple[float, int]] = []
        self.stated: int | None = None
        self.claimed = 0

    def part(self, member: Member) -> Part | None:
        """A member's part of it."""
        return member.tokens if self._tokens else member.requests

    def prepare(self, member: Member, stated: int | None) -> None:
        """Give a member a part where the rate is stated, and take it where it is not."""
        part = self.part(member)
        if stated is None:
            part = None
        elif part is None or not member.pod.last or not member.auto:
            report = member.report
            told = report.tokens_per_minute if self._tokens else report.requests_per_minute
            used = min(stated, self._used(member))
            claim = min(stated, stated if told is None else told) if member.auto else 0
            claim = claim if member.known else 0
            if part is None:
                part = Part(claim, used)
                self.claimed += part.first
            elif member.fresh:
                part.reclaim(claim, used)
        if self._tokens:
            member.tokens = part
        else:
            member.requests = part

    def bury(self, now: float, minute: float, member: Member) -> None:
        """Remember what a pod that is gone may have begun."""
        part = self.part(member)
        if part is None:
            return
        self.claimed -= part.first
        if part.held:
            self._ghosts.append((now + minute, part.held))

    def ghosts(self, now: float) -> int:
        """What pods that are gone may have begun within the last minute."""
        if not self._ghosts:
            return 0
        self._ghosts = [ghost for ghost in self._ghosts if ghost[0] > now]
        return sum(amount for _, amount in self._ghosts)

    def divide(
        self,
        now: float,
        minute: float,
        members: Iterable[Member],
        takers: Sequence[Member],
        *,
        others: int,
        tidy: bool,
    ) -> None:
        """Decide on the parts of the takers; everybody else among the members keeps theirs."""
        assert self.stated is not None, "a rate that is not stated is not divided"
        ours = {id(member) for member in takers}
        claims = []
        for member in members:
            part = self.part(member)
            if part is None:
                continue
            part.expire(now, minute)
            if id(member) in ours:
                claims.append(self._claim(member, part, seated=True))
            elif member.grantable:
                claims.append(self._claim(member, part, seated=False))
            else:
                part.wanted = 0 if member.auto and member.pod.state.deleting else part.last
                others += part.held
        divide(self.stated, claims, others=min(others, self.stated), tidy=tidy, grain=GRAIN)

    def _claim(self, member: Member, part: Part, *, seated: bool) -> Claim:
        waiting = min(member.report.rate_waiting, self.stated or 0)
        each = self._each(member)
        used = max(part.used, math.ceil(min(member.flow.rate * 60.0, 1e9) * each))
        part.demand = min(self.stated or 0, used + math.ceil(waiting * each))
        part.waiting = waiting > 0
        part.pressed = waiting > 0 or part.used >= NEARLY * part.last
        return Claim(part, floor=math.ceil(each), cap=None if seated else 0)

    def _used(self, member: Member) -> int:
        report = member.report
        return report.tokens_in_window if self._tokens else report.requests_in_window

    def _each(self, member: Member) -> float:
        if not self._tokens:
            return 1.0
        report = member.report
        if not (report.requests_in_window and report.tokens_in_window):
            return TYPICAL_TOKENS
        return min(report.tokens_in_window / report.requests_in_window, 1e6)
