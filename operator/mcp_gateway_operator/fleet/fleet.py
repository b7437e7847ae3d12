"""All gateways' pods: what `facts.Fleet` asks for, over control channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from mcp_gateway.api.control import PORT
from mcp_gateway_operator.facts import FleetView, Key, Target
from mcp_gateway_operator.fleet.channel import Dial
from mcp_gateway_operator.fleet.conversation import Pushed, unobserved
from mcp_gateway_operator.fleet.group import Group
from mcp_gateway_operator.fleet.wire import Dialer


class PodFleet:
    """Holds a group of channels for each gateway; a `facts.Fleet`.

    Args:
        port: of the pods' control ports.
        dialer: opens channels; by default over the network.
        pushed: told of each answer to a configuration: `applied` or `refused`, and the seconds
            that it took.
    """

    def __init__(
        self, *, port: int = PORT, dialer: Dial | None = None, pushed: Pushed = unobserved
    ) -> None:
        self._port = port
        self._pushed = pushed
        self._given_dialer = dialer
        self._dialer: Dial | None = None
        self._on_change: Callable[[Key], None] = _nobody
        self._groups: dict[Key, Group] = {}
        self._endings: set[asyncio.Task[None]] = set()

    def start(self, on_change: Callable[[Key], None]) -> None:
        """See `facts.Fleet`."""
        self._on_change = on_change
        self._dialer = self._given_dialer or Dialer()

    def assign(self, key: Key, target: Target) -> None:
        """See `facts.Fleet`."""
        assert self._dialer is not None, "started before anything is assigned"
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(
                target,
                dialer=self._dialer,
                changed=lambda: self._on_change(key),
                end=self._finish,
                pushed=self._pushed,
                port=self._port,
            )
        group.assign(target)

    def view(self, key: Key) -> FleetView:
        """See `facts.Fleet`."""
        group = self._groups.get(key)
        return group.view if group is not None else FleetView()

    def forget(self, key: Key) -> None:
        """See `facts.Fleet`."""
        group = self._groups.pop(key, None)
        if group is not None:
            group.close()

    async def aclose(self) -> None:
        """See `facts.Fleet`."""
        self._on_change = _nobody
        for key in list(self._groups):
            self.forget(key)
        if self._endings:
            await asyncio.wait(set(self._endings))

    def _finish(self, ending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(ending, name="close a channel")
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)


def _nobody(_: Key) -> None:
    """Tell nobody: there is no leadership."""
