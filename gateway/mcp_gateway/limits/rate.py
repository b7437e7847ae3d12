"""A token bucket: so many per second on average, so many at once."""

from __future__ import annotations


class TokenBucket:
    """Holds up to `burst` tokens and gains `rate` of them per second. Starts full.

    The level may go below zero: what was taken on an estimate is corrected afterwards.

    Args:
        rate: tokens per second, above 0.
        burst: the most it holds, above 0.
    """

    __slots__ = ("_level", "_updated", "burst", "rate")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._level = burst
        self._updated: float | None = None

    def take(self, now: float, n: float = 1.0) -> float:
        """Take `n` tokens if they are there.

        More than `burst` can never be there: such a request passes when the bucket is full.

        Returns:
            0.0 when they were taken; otherwise nothing was, and they will be there, if nobody
            else comes, after this many seconds.
        """
        self._refill(now)
        missing = min(n, self.burst) - self._level
        if missing <= 0 and self._since(now) >= 0:
            self._level -= n
            return 0.0
        return max(0.0, missing) / self.rate + max(0.0, -self._since(now))

    def level(self, now: float) -> float:
        """Return the tokens in it at `now`; below zero while it owes some."""
        self._refill(now)
        return self._level

    def charge(self, now: float, n: float) -> None:
        """Take `n` tokens whether they are there or not: more was used than estimated."""
        self._refill(now)
        self._level -= n

    def give_back(self, n: float) -> None:
        """Return `n` tokens that were taken and not used."""
        self._level = min(self.burst, self._level + n)

    def drain(self, now: float, seconds: float) -> None:
        """Give nothing for `seconds`: whoever counts for real said that it is empty.

        When they are over one token is there, for they were said to be enough for another try.
        """
        self._refill(now)
        self._level = min(self._level, 1.0)
        self._updated = max(self._updated or now, now + seconds)

    def configure(self, rate: float, burst: float) -> None:
        """Change the rate and the size; the level stays, up to the new size."""
        self.rate = rate
        self.burst = burst
        self._level = min(self._level, burst)

    def _since(self, now: float) -> float:
        """Seconds since the last refill; negative while drained."""
        return now - (now if self._updated is None else self._updated)

    def _refill(self, now: float) -> None:
        since = self._since(now)
        if since > 0:
            self._level = min(self.burst, self._level + since * self.rate)
        if since >= 0:
            self._updated = now
