"""What one pod may hold of one quantity: slots, requests per minute or tokens per minute.

The invariant that everything serves: what is counted as held by a pod is at least what the pod may
believe it has and at least what it has in use, at every instant. Only what no pod holds is given.

A grant counts from the moment it is sent until a later one is acknowledged: the pod may take it
at any time. What was acknowledged counts until a later one is. What is in use above that counts
until it ended: a pod that was lowered starts nothing above its share, so its use only falls.
That also bounds what a pod can claim: never more than it held before.
"""

from __future__ import annotations

from typing import Final

MOST_UNANSWERED: Final = 16
"""Different amounts that one pod is remembered to have been sent without an answer."""


class Part:
    """One pod's part of one quantity.

    Args:
        claim: what the pod says it was granted before.
        used: what it says is in use.

    Attributes:
        first: what it claimed when it was first heard of.
        confirmed: it has acknowledged a grant of this leader; before that there is only its word.
        held: what must be taken to be in use or usable.
        used: what is in use, as far as the pod can have that much.
        demand: what it could use now.
        pressed: it needs more than it has now, or is about to.
        waiting: somebody waits for more of it now.
        target: its due, by the last division.
        wanted: what the next grant is to say.
    """

    __slots__ = (
        "_acknowledged_at",
        "_sent",
        "confirmed",
        "demand",
        "first",
        "held",
        "pressed",
        "target",
        "used",
        "waiting",
        "wanted",
    )

    def __init__(self, claim: int, used: int = 0) -> None:
        self._sent = [(0, claim)]
        self._acknowledged_at = float("inf")
        self.confirmed = False
        self.used = used
        self.held = max(claim, used)
        self.first = claim
        self.demand = 0
        self.pressed = False
        self.waiting = False
        self.target = claim
        self.wanted = claim

    @property
    def last(self) -> int:
        """What the pod was told last, or claimed if it was told nothing."""
        return self._sent[-1][1]

    @property
    def acknowledged(self) -> int:
        """What the pod last said it has."""
        return self._sent[0][1]

    def send(self, sequence: int) -> int:
        """Note that the grant of this number says `wanted`, and return that."""
        if self._sent[-1][1] != self.wanted:
            self._sent.append((sequence, self.wanted))
            if len(self._sent) > MOST_UNANSWERED:
                # The pod may have taken either: count the larger for as long as the later lasts.
                (_, first), (later, second) = self._sent[0], self._sent[1]
                self._sent[:2] = [(later, max(first, second))]
            self.held = max(self.held, self.wanted)
        return self.wanted

    def hear(self, now: float, sequence: int, used: int) -> None:
        """Take the pod's word.

        Args:
            now: when, in seconds.
            sequence: of the grant in force there; every one before it is void.
            used: what it has in use now.
        """
        sent = self._sent
        if used <= self.held:
            self.used = used
        elif self.confirmed:
            self.used = self.held
        # Else it never said anything that can be true: it has what it was granted, and no more.
        if len(sent) > 1 and sent[1][0] <= sequence:
            while len(sent) > 1 and sent[1][0] <= sequence:
                del sent[0]
            self._acknowledged_at = now
            self.confirmed = True
        self._count()

    def reclaim(self, claim: int, used: int) -> None:
        """Take the word of a pod that was never told anything by this leader."""
        self._sent = [(0, claim)]
        self._acknowledged_at = float("inf")
        self.confirmed = False
        self.used = used
        self.target = self.wanted = claim
        self._count()

    def expire(self, now: float, lasts: float) -> None:
        """So long after a lower amount was taken, no more than that can be in use."""
        if self.used > self._sent[0][1] and now - self._acknowledged_at > lasts:
            self.used = self._sent[0][1]
            self._count()

    def _count(self) -> None:
        self.held = max(self.used, *(amount for _, amount in self._sent))
