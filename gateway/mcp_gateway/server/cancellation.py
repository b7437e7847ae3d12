"""`notifications/cancelled` over HTTP, in the handshake era.

There the notification is a request of its own, with nothing but the credential, the address and
the JSON-RPC id to say which exchange it means; no session id is minted, so that any replica can
serve any request. Ids of different programs do collide (most count from 1), so a notification
that fits more than one exchange cancels none: to finish a call that nobody reads is cheaper than
to break off somebody else's.
"""

from __future__ import annotations

import asyncio

from mcp_gateway.protocol.jsonrpc import Id

Key = tuple[str, str, Id]
"""Credential, address of the client, JSON-RPC id."""


class Cancellations:
    """The exchanges of this process that a notification may cancel."""

    def __init__(self) -> None:
        self._tasks: dict[Key, list[asyncio.Task[object]]] = {}
        self._cancelled: set[asyncio.Task[object]] = set()

    def add(self, key: Key, task: asyncio.Task[object]) -> None:
        """Let `key` mean `task` until `remove`."""
        self._tasks.setdefault(key, []).append(task)

    def remove(self, key: Key, task: asyncio.Task[object]) -> bool:
        """Forget `task`. Returns whether it was cancelled from here."""
        tasks = self._tasks[key]
        tasks.remove(task)
        if not tasks:
            del self._tasks[key]
        if task in self._cancelled:
            self._cancelled.discard(task)
            return True
        return False

    def cancel(self, key: Key) -> bool:
        """Cancel the one exchange that `key` means; False where it means none or several."""
        tasks = self._tasks.get(key, ())
        if len(tasks) != 1:
            return False
        self._cancelled.add(tasks[0])
        tasks[0].cancel()
        return True
