"""Changes of a ceiling, told so that a person understands them and is not flooded by them.

A first cut is told at once: it is what somebody who is woken up looks for. What follows it, and
all growing, is told as one a while later. A probe that was refused and took the ceiling back to
where it was is no news at all.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

KEPT: Final = 10
"""Changes that are kept of one limit."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a ceiling, or several that are told as one.

    Attributes:
        gateway: `namespace/name` of the MCPGateway.
        provider: the provider's name in its document.
        model: the model, where the provider limits every model by itself; else empty.
        before: the ceiling as it was told last; None where there was none.
        after: the ceiling now.
        reason: why, in words.
        at: when, on the tuner's clock.
        lowered: the provider allows less than was believed.
    """

    gateway: str
    provider: str
    model: str
    before: int | None
    after: int
    reason: str
    at: float
    lowered: bool

    def __str__(self) -> str:
        name = f"{self.provider} {self.model}" if self.model else self.provider
        moved = f"{self.after}" if self.before is None else f"{self.before} → {self.after}"
        return f"{name}: ceiling {moved}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Moved:
    """A change of a ceiling before it is known to whom it is told.

    Attributes:
        before, after, reason, at, lowered: as of `Change`.
    """

    before: int | None
    after: int
    reason: str
    at: float
    lowered: bool

    def of(self, gateway: str, provider: str, model: str) -> Change:
        """The same, told to one gateway."""
        return Change(
            gateway, provider, model, self.before, self.after, self.reason, self.at, self.lowered
        )


class Journal:
    """What became of one ceiling, and what of it has been told.

    Args:
        told: the ceiling that people know of; None where they know of none.
        patience: seconds over which growing is told as one; further cuts take a sixth of it.

    Attributes:
        recent: the last ones told, oldest first.
    """

    __slots__ = (
        "_cut",
        "_lowered_at",
        "_patience",
        "_since",
        "_steps",
        "_told",
        "_told_at",
        "_value",
        "recent",
    )

    def __init__(self, told: int | None, patience: float) -> None:
        self._patience = patience
        self._told = self._value = told
        self._told_at = self._lowered_at = float("-inf")
        self._since = 0.0
        self._steps = 0
        self._cut = ""
        self.recent: deque[Moved] = deque(maxlen=KEPT)

    def note(self, now: float, value: int, why: str, stated: int | None = None) -> Moved | None:
        """Look at a ceiling; what is to be told of it now, if anything.

        Args:
            now: seconds.
            value: the ceiling.
            why: why it is that, in words.
            stated: what the document states.
        """
        if value != self._value:
            if not self._steps:
                self._since = now
            self._steps += 1
            if self._value is not None and value < self._value:
                self._cut = why
            self._value = value
        if value == self._told:
            self._steps = 0
            return None
        if now < self._due(value, stated):
            return None
        # What is lower than it was told was cut, even if it grows again by now.
        if self._lowered(value) and self._cut:
            why = self._cut
        reason = why if self._steps < 2 else f"in {self._steps} steps: {why}"
        moved = Moved(self._told, value, reason, now, self._lowered(value))
        self.recent.append(moved)
        self._told, self._told_at, self._steps = value, now, 0
        if moved.lowered:
            self._lowered_at = now
        return moved

    def _lowered(self, value: int) -> bool:
        return self._told is not None and value < self._told

    def _due(self, value: int, stated: int | None) -> float:
        """When the difference between what is and what was told is to be told."""
        told = self._told
        if told is None or value == stated:
            return self._told_at
        # A learned ceiling is found anew by every probe, give or take a little: that is no news.
        notable = told == stated or told - value > max(1, told // 20)
        if value < told and notable:
            return self._lowered_at + self._patience / 6
        return max(self._since, self._told_at) + self._patience
