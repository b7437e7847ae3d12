"""Which pod a hop goes to: by the slots it holds and the hops that are out to it.

Nothing here does I/O or reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final

from mcp_gateway.api.quota import Peer

AVOID: Final = 1.0
"""Seconds for which a pod that could not be reached is asked only where there is no other."""


def choose(
    peers: Iterable[Peer],
    outstanding: Callable[[Peer], int],
    failed: Collection[str],
    random: Callable[[], float],
) -> Peer | None:
    """The pod with the fewest hops for its slots; None where none is left to ask.

    Args:
        peers: who holds slots.
        outstanding: our hops that a pod has not answered yet.
        failed: addresses that this request has tried already.
        random: a source of numbers in [0, 1): all pods see the same list, and the first of it
            would be everybody's first choice.
    """
    best: Peer | None = None
    lowest = (0.0, 0.0)
    for peer in peers:
        if not peer.share or not peer.address or peer.address in failed:
            continue
        load = ((outstanding(peer) + 1) / peer.share, random())
        if best is None or load < lowest:
            best, lowest = peer, load
    return best


class Ledger:
    """What one pod knows of the others: hops that are out, and who could not be reached."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._out: dict[tuple[str, str, str], int] = {}
        self._avoided: dict[str, float] = {}

    def choose(self, peers: Collection[Peer], failed: Collection[str], now: float) -> Peer | None:
        """The pod for the next hop; None where none is left to ask."""
        self._avoided = {a: until for a, until in self._avoided.items() if until > now}
        best = None
        if self._avoided:
            avoided = {*failed, *self._avoided}
            best = choose(peers, self.outstanding, avoided, self._random)
        return best or choose(peers, self.outstanding, failed, self._random)

    def outstanding(self, peer: Peer) -> int:
        """Hops that are out to a pod for what it holds."""
        return self._out.get(_key(peer), 0)

    def begin(self, peer: Peer) -> None:
        """A hop begins; `end` follows."""
        self._out[_key(peer)] = self.outstanding(peer) + 1

    def end(self, peer: Peer) -> None:
        """A hop is over."""
        left = self.outstanding(peer) - 1
        if left > 0:
            self._out[_key(peer)] = left
        else:
            self._out.pop(_key(peer), None)

    def unreachable(self, peer: Peer, now: float) -> bool:
        """A pod could not be reached; whether that is news."""
        news = self._avoided.get(peer.address, now) <= now
        self._avoided[peer.address] = now + AVOID
        return news


def _key(peer: Peer) -> tuple[str, str, str]:
    return peer.address, peer.provider, peer.model
