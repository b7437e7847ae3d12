"""How many requests one pod may have in flight with one account (or one model of it).

The number comes from outside: a share set by an operator or a person, the account's known limit,
or nothing. What the pod does by itself:

- A refusal for concurrency cuts the limit at once to what is in flight without the refused one.
- Under an operator (`governed`) it stays cut until a share is set again, or until the operator is
  given up: `release` lets the limit recover alone, up to the share.
- Alone it recovers by probing, once a second at most: when somebody waits, the limit is used up
  and the hold after the last refusal is over, it grows by a step, and the step doubles with each
  success up to a quarter of the limit. A refusal that a probe caused doubles the hold (5 s up to
  60 s); one that came below the proven level means that the provider lowered its limit, and the
  hold is 5 s again. A refusal is instant and cheap: probing in seconds by single requests costs
  less than waiting minutes below the limit.

Latency never moves the limit: an LLM's follows the length of its answer, not our concurrency.
"""

from __future__ import annotations

MIN_HOLD = 5.0
MAX_HOLD = 60.0
"""Seconds without a probe after a refusal: the first, and the most."""

PROBE_INTERVAL = 1.0
"""Seconds between two decisions."""


class AdaptiveLimit:
    """The limit. Reads are plain attributes; every change goes through a method.

    Args:
        share: what was granted or is known; None means that the limit has to be found out.
        cap: the most this pod may ever have, in every mode.
        start: where to begin when `share` is None; by default at `cap`.

    Attributes:
        limit: the number to enforce now.
        share, cap: as set.
        governed: an operator sets shares; the limit never probes.
        in_flight_at_refusal: what the last refusal left in flight; None before the first and
            after the next `set_share`.
        refusals: how many were counted.
    """

    __slots__ = (
        "_hold",
        "_hold_until",
        "_next",
        "_proven",
        "_refused_at",
        "_step",
        "cap",
        "governed",
        "in_flight_at_refusal",
        "limit",
        "refusals",
        "share",
    )

    def __init__(self, share: int | None, cap: int, *, start: int | None = None) -> None:
        self.share = share
        self.cap = cap
        self.governed = False
        self.in_flight_at_refusal: int | None = None
        self.refusals = 0
        self.limit = min(cap, start if share is None and start is not None else self.ceiling)
        self._step = 1
        self._hold = 0.0
        self._hold_until = 0.0
        self._next = 0.0
        self._proven = 0
        self._refused_at: int | None = None

    @property
    def ceiling(self) -> int:
        """The most the limit can grow to."""
        return self.cap if self.share is None else min(self.share, self.cap)

    def set_share(
        self, share: int | None, *, governed: bool = False, start: int | None = None
    ) -> None:
        """Take a new share; a cut made before is over.

        Args:
            share: requests in flight; None means unknown.
            governed: an operator speaks, and will again after a refusal.
            start: where to begin when `share` is None; by default where the limit is.
        """
        self.share = share
        self.governed = governed
        self.in_flight_at_refusal = None
        begin = self.limit if start is None else start
        self.limit = min(begin, self.cap) if share is None else self.ceiling
        self._begin_probing()

    def release(self) -> None:
        """The operator is silent: recover from a cut alone, with the share as a hard cap."""
        self.governed = False

    def set_cap(self, cap: int) -> None:
        """Change the hard cap. A limit that stood at the old ceiling follows it."""
        at_ceiling = self.limit >= self.ceiling
        self.cap = cap
        self.limit = self.ceiling if at_ceiling else min(self.limit, cap)

    def refused(self, in_flight_without: int) -> None:
        """Cut the limit: the provider refused a request for concurrency.

        Args:
            in_flight_without: requests in flight, without every one that was refused.
        """
        self.refusals += 1
        self.in_flight_at_refusal = in_flight_without
        # The first of a volley says at how many it began; those behind it count each other out.
        if self._refused_at is None:
            self._refused_at = in_flight_without
        # Alone, one must be let through from time to time, or nothing is ever learned.
        self.limit = min(self.limit, max(in_flight_without, 0 if self.governed else 1))

    def probe(self, now: float, waiting: int, in_flight: int) -> bool:
        """Decide whether to try one step more. To be called about once a second.

        Args:
            now: a monotonic clock's seconds.
            waiting: requests that wait for this limit.
            in_flight: requests in flight under it.

        Returns:
            True when the limit grew.
        """
        if self.governed or now < self._next:
            return False
        self._next = now + PROBE_INTERVAL
        if self._refused_at is not None:
            self._settle(now, self._refused_at)
            return False
        if in_flight < self.limit - 1 or not waiting or now < self._hold_until:
            return False
        self._proven = self.limit
        if self.limit >= self.ceiling:
            return False
        self.limit = min(self.ceiling, self.limit + self._step)
        self._step = max(1, min(self._step * 2, self.limit // 4))
        return True

    def _settle(self, now: float, refused_at: int) -> None:
        """Digest the refusals since the last decision."""
        ours = refused_at >= self._proven
        self._hold = min(self._hold * 2, MAX_HOLD) if ours and self._hold else MIN_HOLD
        self._hold_until = now + self._hold
        self._proven = self.limit
        self._step = 1
        self._refused_at = None

    def _begin_probing(self) -> None:
        self._step = 1
        self._hold = 0.0
        self._hold_until = 0.0
        self._proven = 0
        self._refused_at = None
