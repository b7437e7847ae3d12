"""This pod among the others of its gateway: makes attempts for them, and has its own made."""

from __future__ import annotations

from mcp_gateway.api.server import ServerLimits
from mcp_gateway.app.steering import Control
from mcp_gateway.concurrency.supervisor import Supervisor
from mcp_gateway.config.control_folder import ControlFolder
from mcp_gateway.config.watch import FileWatcher
from mcp_gateway.proxy.engine import Engine
from mcp_gateway.proxy.meters import HopMeters
from mcp_gateway.proxy.peer import PeerCaller
from mcp_gateway.proxy.peer_ways import PeerWays
from mcp_gateway.server.peer import PeerPort
from mcp_gateway.telemetry.metrics import Registry


class Fleet:
    """The ways to the other pods, and the port for theirs. Started once.

    Args:
        control: the files that the pods share, and where to listen.
        metrics: where hops are counted.

    Attributes:
        caller: makes attempts by way of other pods.
    """

    def __init__(self, control: Control, metrics: Registry) -> None:
        self._control = control
        self._folder = ControlFolder(control.folder)
        # Looks at the files before they are read, so that no change falls between the two.
        self._watcher = FileWatcher(self._folder.files, self._reload)
        self._meters = HopMeters(metrics)
        self._ways = PeerWays(self._folder)
        self._port: PeerPort | None = None
        self._supervisor = Supervisor()
        self.caller = PeerCaller(self._ways, control.pod, self._meters)

    async def start(self, engine: Engine, limits: ServerLimits) -> None:
        """Listen for the other pods.

        Raises:
            ConfigError: a file of the control folder is missing or wrong.
            OSError: the address cannot be had.
        """
        self._port = PeerPort(
            self._folder,
            engine.accounts.live,
            pod=self._control.pod,
            meters=self._meters,
            limits=limits,
            traced=engine.traced,
        )
        await self._port.start(self._control.host, self._control.peer_port)
        self._supervisor.start("watch the fleet's files", self._watcher.run)

    @property
    def url(self) -> str:
        """Where the other pods reach this one."""
        assert self._port is not None, "started before it is asked"
        host, port = self._port.address
        return f"https://{f'[{host}]' if ':' in host else host}:{port}"

    def apply(self, limits: ServerLimits) -> None:
        """Follow another document."""
        if self._port is not None:
            self._port.apply(limits)

    async def drain(self, grace: float) -> None:
        """Take no more from other pods, and let what is in work end within `grace` seconds."""
        if self._port is not None:
            await self._port.drain(grace)

    async def aclose(self) -> None:
        """Close everything now. Idempotent."""
        await self._supervisor.aclose()
        if self._port is not None:
            await self._port.aclose()
        await self._ways.aclose()

    def _reload(self) -> None:
        self._ways.reload()
        if self._port is not None:
            self._port.reload()
