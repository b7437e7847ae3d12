"""Requests that are at a provider, by the account they count against there.

A key that is rotated makes another account of the same connections. What was sent by the former
key goes on counting against the former account until it ends.
"""

from __future__ import annotations


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
            if count:
                key = self.identity, model
                self.leaving[key] = self.leaving.get(key, 0) + count
        self._sent.clear()
        self.identity = identity

    def began(self, model: str) -> str:
        """A request is sent, under the limit of a model or none; the account it counts against."""
        self._sent[model] = self._sent.get(model, 0) + 1
        return self.identity

    def ended(self, identity: str, model: str) -> None:
        """A request ended that was sent on this account."""
        if identity == self.identity:
            self._sent[model] -= 1
            return
        key = identity, model
        left = self.leaving.get(key, 0) - 1
        if left > 0:
            self.leaving[key] = left
        else:
            self.leaving.pop(key, None)
