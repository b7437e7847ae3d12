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
        wait = self.wait(now, n)
        if wait == 0.0:
            self._level -= n
        return wait

    def wait(self, now: float, n: float = 1.0) -> float:
        """Return the seconds until `n` tokens can be taken; 0.0 when they can now."""
        drained = self._refill(now)
        missing = (n if n < self.burst else self.burst) - self._level
        return max(0.0, missing) / self.rate + drained

    def drained(self, now: float) -> float:
        """Return the seconds for which it gives nothing because it was drained."""
        return max(0.0, (self._updated or now) - now)

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

    def _refill(self, now: float) -> float:
        """Gain what is due since the last time; seconds for which it stays drained."""
        since = 0.0 if self._updated is None else now - self._updated
        if since < 0:
            return -since
        self._updated = now
        self._level = min(self.burst, self._level + since * self.rate)
        return 0.0
