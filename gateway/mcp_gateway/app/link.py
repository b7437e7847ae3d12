"""The gateway's end of the control channel, for a gateway that an operator runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from mcp_gateway import __version__
from mcp_gateway.api import MCPGateway
from mcp_gateway.api.control import Config, Grant, Hello, ProbeResult, Refused, Report
from mcp_gateway.app.grant_file import GrantFile
from mcp_gateway.app.granting import Granting
from mcp_gateway.app.limit_reports import limit_reports, pulse
from mcp_gateway.app.steering import Control, Steering
from mcp_gateway.app.tuning_picture import operator_picture, operator_samples
from mcp_gateway.concurrency.supervisor import Supervisor
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.errors import ConfigError
from mcp_gateway.proxy.engine import Engine
from mcp_gateway.proxy.probe import probe
from mcp_gateway.server.control import ControlPort
from mcp_gateway.server.reporting import Pulse
from mcp_gateway.telemetry import definitions as metric
from mcp_gateway.telemetry.metrics import Registry, Sample

NO_REQUEST = frozenset({"cancelled", "invalid"})
"""Ends that say nothing about this gateway: the client left, or sent what is no request."""


class OperatorLink:
    """What the operator says and hears; a `server.control.ControlBackend`.

    Args:
        control: where it listens, and for whom.
        document: what is in force.
        apply: brings a document into force; raises `ConfigError`.
        engine: has the accounts that are probed.
        metrics: has the counts that are reported.
        secrets: reads what documents name.
        grants: keeps the grant in force; the one of the process before is taken up.

    Raises:
        ConfigError: a file of the control port is missing or wrong.
    """

    def __init__(
        self,
        control: Control,
        document: MCPGateway,
        apply: Callable[[MCPGateway], Awaitable[None]],
        *,
        engine: Engine,
        metrics: Registry,
        secrets: SecretReader,
        grants: GrantFile,
    ) -> None:
        self._control = control
        self._engine = engine
        self._metrics = metrics
        self._since = time.time()
        self._supervisor = Supervisor()
        self._port = ControlPort(control.folder, self)
        refused = metrics.counter(metric.CONFIG_REFUSED)
        self._apply = apply
        self.steering = Steering(
            document, self._change, refused.add, secrets, follow_secrets=control.owns_document
        )
        self.steering.tell = self._port.tell
        governor = engine.accounts.governor
        kept = grants.load()
        if kept is not None:
            governor.restore(kept.grant, kept.accounts)
        self.granting = Granting(governor, self.steering, grants)
        self._loop = asyncio.get_running_loop()

    async def start(self) -> None:
        """Listen, and follow what is said.

        Raises:
            OSError: the address cannot be had.
        """
        await self._port.start(self._control.host, self._control.port)
        self.granting.channels(0)
        self._supervisor.start("follow the operator", self.steering.run)

    @property
    def url(self) -> str:
        """Where the operator reaches it."""
        host, port = self._port.address
        return f"wss://{f'[{host}]' if ':' in host else host}:{port}"

    async def aclose(self) -> None:
        """Close the channels. Idempotent."""
        self.granting.close()
        await self._supervisor.aclose()
        await self._port.aclose()

    def refuse_others(self) -> None:
        """Keep documents of anybody else out where the operator's alone count.

        Raises:
            ConfigError: they do.
        """
        if self._control.owns_document:
            raise ConfigError(
                "the document comes from the operator: change the MCPGateway resource instead"
            )

    async def _change(self, document: MCPGateway) -> None:
        async with self.granting.changing():
            await self._apply(document)

    # --- what the control port asks ------------------------------------------------------

    def hello(self) -> Hello:
        """See `ControlBackend`."""
        return Hello(
            pod=self._control.pod,
            version=__version__,
            generation=self.steering.generation,
            epoch=self.steering.epoch,
        )

    def offer(self, config: Config) -> Refused | None:
        """See `ControlBackend`."""
        return self.steering.offer(config)

    def report(self) -> Report:
        """See `ControlBackend`."""
        counted = self._metrics.counted(metric.REQUESTS).items()
        ended = [(labels[-1], value) for labels, value in counted if labels[-1] not in NO_REQUEST]
        return Report(
            requests=int(sum(value for _, value in ended)),
            errors=int(sum(value for status, value in ended if status != "ok")),
            since=self._since,
            epoch=self.steering.epoch,
            sequence=self.granting.sequence,
            limits=limit_reports(self._engine.accounts, self._loop.time()),
        )

    def pulse(self) -> Pulse:
        """See `ControlBackend`."""
        return pulse(self._engine.accounts.live.values())

    @property
    def report_every(self) -> float:
        """See `ControlBackend`."""
        return self.granting.report_every

    async def grant(self, grant: Grant) -> bool:
        """See `ControlBackend`."""
        return await self.granting.take(grant)

    def hear(self) -> None:
        """See `ControlBackend`."""
        self.granting.hear()

    def channels(self, count: int) -> None:
        """See `ControlBackend`."""
        self.granting.channels(count)

    def picture(self) -> dict[str, Any]:
        """Whether there is an operator, and what it said last, for people."""
        return operator_picture(self.granting, self.steering.epoch, self._loop.time())

    def samples(self) -> Iterator[Sample]:
        """The same for Prometheus."""
        governor = self._engine.accounts.governor
        return operator_samples(self.granting, governor, self._loop.time())

    async def probe(self, providers: Sequence[str]) -> list[ProbeResult]:
        """See `ControlBackend`."""
        return list(await asyncio.gather(*(self._probe(name) for name in dict.fromkeys(providers))))

    async def _probe(self, name: str) -> ProbeResult:
        account = self._engine.accounts.live.get(name)
        if account is None:
            message = f"generation {self.steering.generation} has no such provider"
            return ProbeResult(provider=name, state="Unreachable", message=message)
        routes = self._engine.snapshot.spec.routes
        backends = [backend for route in routes for backend in route.backends]
        models = {b.model for b in backends if b.provider == name and b.model is not None}
        return await probe(account, models)
