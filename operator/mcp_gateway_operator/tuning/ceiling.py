"""How many requests a provider lets an account have in flight: stated by the document, or learned.

- It starts at what is stated, which is also the most it can be; else small.
- A concurrency refusal cuts it at once to what was in flight without the refused requests.
- When somebody waits, all of it is in use and the hold after the last refusal is over, it grows
  by a step, and the step doubles with each success: up to half of it before anything was refused,
  later up to a quarter; where it was refused last it goes by single steps. A refusal is instant
  and cheap: probing in seconds by single requests costs less than waiting minutes below the limit.
- A refusal that a probe of ours caused takes it back to what was proven and doubles the hold. One
  that came below means that the provider lowered its limit, and the hold is short again.

Latency never moves it: an LLM's follows the length of its answer, not our concurrency. Neither do
refusals for frequency, tokens, quota or overload.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mcp_gateway_operator.tuning.pace import Pace

FLOOR: Final = 1
"""Where a provider that refuses everything leaves it: one request at a time finds out when it
does no more."""

LEARNING: Final = 2
"""Requests in flight per pod that an account of which nothing is stated begins with."""


SURE: Final = 3
"""Single steps above where it was refused last, until it is sure that it is not there any more."""


LOOKS: Final = 2
"""Ticks in a row that must see a step above there in use: what one sees may be on its way to a
refusal, of which the next would tell."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the pods of an account say, added up.

    Attributes:
        in_flight: requests now.
        at_refusal: the same, but as they were when refused for the pods that were.
        refused: concurrency refusals since the last step.
        waiting: requests that wait for a slot.
        rated: requests wait for a rate, so another slot would serve nobody.
        kept: while others wait, free slots that pods where nobody does keep for their next
            request. The ceiling counts them as in use, when it grows and when it is cut.
    """

    in_flight: int
    at_refusal: int = 0
    refused: int = 0
    waiting: int = 0
    rated: bool = False
    kept: int = 0


class Ceiling:
    """The ceiling of one limit, moved once a tick.

    Args:
        pace: how long it holds.
        start: where it begins.
        stated: the most it can be; None if it has to be found out.
        reason: why it starts there.

    Attributes:
        value: requests in flight.
        stated: as set.
        reason: why it is what it is, in words.
        refused: concurrency refusals since it last changed.
        holding: it was cut, and is left alone until the hold is over.
        cut_before: a refusal has said once where it is.
    """

    __slots__ = (
        "_echo_until",
        "_highest",
        "_hold",
        "_hold_until",
        "_known",
        "_looks",
        "_pace",
        "_proven",
        "_refusals_since",
        "_step",
        "cut_before",
        "holding",
        "reason",
        "refused",
        "stated",
        "value",
    )

    def __init__(self, pace: Pace, start: int, stated: int | None, reason: str) -> None:
        self._pace = pace
        self.value = max(FLOOR, start if stated is None else min(start, stated))
        self.stated = stated
        self.reason = reason
        self.refused = 0
        self.holding = False
        self.cut_before = False
        self._hold = 0.0
        self._hold_until = float("-inf")
        self._step = 1
        self._proven = self._highest = self.value
        self._echo_until = float("-inf")
        self._known: int | None = None
        self._looks = 0
        self._refusals_since: float | None = None

    def restate(self, stated: int | None) -> None:
        """Take another stated limit; the same one changes nothing."""
        if stated == self.stated:
            return
        self.stated = stated
        if stated is None:
            self.reason = "no limit is stated any more: it is learned from here on"
            return
        self.value = self._proven = max(FLOOR, stated)
        self.reason = f"the document states {stated}"
        self.refused = 0
        self._begin()

    def observe(self, seen: Seen) -> None:
        """Follow what is in flight, where others decide on that: a floor of what is allowed."""
        if not seen.refused and self.stated is None and seen.in_flight > self.value:
            self.value = self._proven = seen.in_flight
            self.reason = f"{seen.in_flight} requests were in flight and none was refused"

    def step(self, now: float, seen: Seen) -> None:
        """Move it, if what was seen says so. To be called once a tick."""
        if seen.refused:
            self._cut(now, seen)
            return
        self._refusals_since = None
        self.holding = now < self._hold_until
        # A step is proven by a request that could not have been in flight without it.
        # What pods that are idle keep is of no use to those that wait elsewhere.
        used = seen.in_flight + seen.kept
        if used < max(self.value - 1, min(self._proven + 1, self.value)):
            self._looks = 0
            return
        self._looks += 1
        if self._looks < LOOKS and self._known is not None and self.value > self._known:
            return
        self._proven = self.value
        if seen.waiting and not (seen.rated or self.holding or self.full):
            self._raise()

    @property
    def full(self) -> bool:
        """It is as high as the document lets it be."""
        return self.stated is not None and self.value >= self.stated

    @property
    def probing(self) -> bool:
        """It grew, and what that did is not known yet."""
        return self.value > self._proven

    def resting(self, now: float) -> bool:
        """Pods that were refused stay cut, and nobody gets more, until it is known how deep it is.

        That is while the last tick saw refusals; and where the provider refuses everything,
        until the hold is over.
        """
        refused = self._refusals_since is not None
        return refused or (self.value == FLOOR and now < self._hold_until)

    def _begin(self) -> None:
        self._hold = 0.0
        self._hold_until = self._echo_until = float("-inf")
        self._step = 1
        self._known = None
        self.holding = False

    def _raise(self) -> None:
        step = self._step
        if self._known is not None and self.value < self._known:
            step = min(step, self._known - self.value)
        elif self._known is not None and self.value < self._known + SURE:
            step = self._step = 1
        else:
            self._known = None
        self._looks = 0
        limit = self.value + step
        self.value = limit if self.stated is None else min(limit, self.stated)
        # Before the first refusal it is not known whether it is far away.
        self._step = max(1, min(self._step * 2, self.value // (4 if self.cut_before else 2)))
        self.reason = "requests waited and nothing was refused"
        self.refused = 0

    def _cut(self, now: float, seen: Seen) -> None:
        self.refused += seen.refused
        self.cut_before = True
        self._looks = 0
        again = self._refusals_since is not None
        since = now if self._refusals_since is None else self._refusals_since
        self._refusals_since = since
        # Of what a probe set off, some is heard later, from pods that were looked at at another
        # moment: their sum is a little off, and says nothing that the first of it did not say.
        used = seen.at_refusal + seen.kept
        if now <= self._echo_until and used * 10 >= self.value * 9:
            return
        cut, ours = self._found(used, again=again)
        self._known = max(cut, min(used, self.value - 1))
        self._wait(now, ours=ours or self.value == cut == FLOOR)
        if cut < self.value:
            seconds = now - since + self._pace.tick
            self.reason = (
                f"{self.refused} concurrency {_plural('refusal', self.refused)} in {seconds:.0f} s"
                f" at {seen.at_refusal} in flight"
            )
            self.value, self.refused = cut, 0
        self._proven = self.value

    def _found(self, used: int, *, again: bool) -> tuple[int, bool]:
        """Where refusals say that it is, and whether a probe of ours caused them."""
        # Pods are looked at at different moments, so their sum is a little off: what was proven
        # a moment ago counts for more. And one more than there is room for was refused.
        if self.probing and used * 20 >= self._proven * 19:
            return max(FLOOR, min(self.value - 1, max(used, self._proven))), True
        cut = max(FLOOR, min(self.value - 1, used))
        if cut * 20 >= self.value * 19:
            return max(cut, self.value - 2), True
        if used >= self._proven:
            return cut, True
        if again or cut * 10 > self.value * 7:
            # It was full, so the provider allows less by now: every answer that makes room costs
            # a refusal on the way down. Meet it half a step ahead; coming back takes seconds.
            cut = max(FLOOR, cut - (self.value - cut) // 2)
        return cut, False

    def _wait(self, now: float, *, ours: bool) -> None:
        """Leave it alone for a while, longer each time that a probe of ours was refused."""
        pace = self._pace
        self._highest = max(self._highest, self._proven)
        if ours and self._hold:
            # Below what it has been the provider may give it back any minute.
            lowered = self.value * 10 < 9 * (self.stated or self._highest)
            longest = pace.longest_hold / (3 if lowered else 1)
            self._hold = min(self._hold * 2, longest)
            self._highest -= (self._highest - self.value) // 8
        else:
            self._hold = pace.hold
        if ours:
            self._echo_until = now + 3 * pace.tick
        self._hold_until = now + self._hold
        self._step = 1
        self.holding = True


def _plural(word: str, n: int) -> str:
    return word if n == 1 else f"{word}s"
