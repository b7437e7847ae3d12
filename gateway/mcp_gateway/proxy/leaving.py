"""Requests that are at a provider, by the account they count against there.

A key that is rotated makes another account of the same connections. What was sent by the former
key goes on counting against the former account until it ends.
"""

from __future__ import annotations

from typing import TypeVar

_Key = TypeVar("_Key")


class AtProvider:
    """Counts requests that were sent and have not ended.

    Attributes:
        identity: the account in use.
        leaving: requests of former accounts, by identity and model.
    """

    __slots__ = ("_sent", "identity", "leaving")

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.leaving: dict[tuple[str, str], int] = {}
        self._sent: dict[str, int] = {}

    def rotate(self, identity: str) -> None:
        """Another account is in use from now on."""
        if identity == self.identity:
            return
        for model, count in self._sent.items():
            self.leaving[self.identity, model] = count
        self.identity = identity
        # An account that was left may come back before all of its requests have ended.
        returning = [key for key in self.leaving if key[0] == identity]
        self._sent = {key[1]: self.leaving.pop(key) for key in returning}

    def began(self, model: str) -> str:
        """A request is sent, under the limit of a model or none; the account it counts against."""
        self._sent[model] = self._sent.get(model, 0) + 1
        return self.identity

    def ended(self, identity: str, model: str) -> None:
        """A request ended that was sent on this account."""
        if identity == self.identity:
            _count_down(self._sent, model)
        else:
            _count_down(self.leaving, (identity, model))


def _count_down(counts: dict[_Key, int], key: _Key) -> None:
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
