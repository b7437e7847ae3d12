"""The gateway as a whole: start it, apply a document, drain it."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mcp_gateway import __version__
from mcp_gateway.api import ChatRequest, ChatResponse, Logging, MCPGateway, Server, Spec
from mcp_gateway.app.at_start import changed_in_vain
from mcp_gateway.app.embedded import ChatStream, chat
from mcp_gateway.app.picture import (
    account_picture,
    account_samples,
    listener_samples,
    recording_samples,
    route_picture,
    tracing_samples,
)
from mcp_gateway.app.recording import Recording
from mcp_gateway.app.simulators import Simulators
from mcp_gateway.app.steering import Control
from mcp_gateway.app.tracing import Tracing
from mcp_gateway.concurrency.supervisor import Supervisor
from mcp_gateway.config.document import load, parse, parse_limits
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.errors import ConfigError
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.engine import Engine
from mcp_gateway.server.listeners import Listeners
from mcp_gateway.telemetry import definitions as metric
from mcp_gateway.telemetry import logs
from mcp_gateway.telemetry.logs import LineWriter
from mcp_gateway.telemetry.metrics import Registry, Sample

if TYPE_CHECKING:
    from mcp_gateway.app.fleet import Fleet
    from mcp_gateway.app.link import OperatorLink

log = logging.getLogger(__name__)


class Gateway:
    """A gateway, made from a document and run as an async context manager.

    Entering it brings the document into force and opens its ports; leaving it drains within the
    document's `shutdownGrace` and closes everything.

    Args:
        document: what it is to be.
        secrets: reads the secrets the document names; by default there are none.
        data_dir: where the spool and the admin token live. Without it, a folder that goes
            with the gateway.
        listen: open the document's ports. Without, the gateway is only there for the code that
            holds it.
        control: listen for an operator too.
        bind: address to listen on where the document says 0.0.0.0.

    Raises (on entering):
        ConfigError: the document cannot be brought into force.
        OSError: a port cannot be opened.
    """

    def __init__(
        self,
        document: MCPGateway,
        *,
        secrets: SecretReader | None = None,
        data_dir: Path | None = None,
        listen: bool = True,
        control: Control | None = None,
        bind: str = "",
    ) -> None:
        self.document = document
        self._secrets = secrets or SecretReader(None, {})
        self._data_dir = data_dir
        self._temporary: str | None = None
        self._listen = listen
        self._control = control
        self._bind = bind
        self._metrics = Registry()
        self._refused = self._metrics.counter(metric.CONFIG_REFUSED)
        self._lines = LineWriter(text=document.spec.logging.format == "text")
        self._supervisor = Supervisor()
        self._simulators = Simulators()
        self._applying = asyncio.Lock()
        self._engine: Engine | None = None
        self._recording = Recording(self._secrets, socket.gethostname(), lambda: self.data_dir)
        self._tracing = Tracing(document.metadata.name)
        self._listeners: Listeners | None = None
        self._opened = document.spec.server
        self._link: OperatorLink | None = None
        self._fleet: Fleet | None = None
        self._draining = False
        self._started = time.time()

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        secrets: SecretReader | None = None,
        data_dir: Path | None = None,
        listen: bool = True,
    ) -> Gateway:
        """A gateway from an MCPGateway document or an `mcp.yaml`.

        Raises:
            InvalidDocument: with every problem of the file.
        """
        loaded = load(Path(path))
        return cls(loaded.document, secrets=secrets, data_dir=data_dir, listen=listen)

    async def __aenter__(self) -> Gateway:
        try:
            await self._start()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.drain(self.document.spec.server.shutdown_grace)
        finally:
            await self.aclose()

    @property
    def engine(self) -> Engine:
        """What carries the exchanges."""
        assert self._engine is not None, "a gateway is used inside `async with`"
        return self._engine

    @property
    def generated_key(self) -> str:
        """The client key made because the document names none; empty where it does."""
        return self.engine.generated_key

    @property
    def urls(self) -> dict[str, str]:
        """Where it listens: `websocket`, `http`, `openai`, `admin`, `control`, `peer`.

        What is off is missing.
        """
        urls = self._listeners.urls if self._listeners is not None else {}
        if self._link is not None and self._fleet is not None:
            urls = {**urls, "control": self._link.url, "peer": self._fleet.url}
        return urls

    @property
    def spool_path(self) -> Path | None:
        """The file records go to; None where nothing is recorded."""
        return self._recording.spool_path

    async def chat(self, request: ChatRequest) -> ChatResponse:
        """Ask, and return the whole answer, or its typed `error`."""
        return await chat(self.engine, request)

    def stream(self, request: ChatRequest) -> ChatStream:
        """Ask, and iterate over the answer's pieces."""
        return ChatStream(self.engine, request)

    async def apply(self, document: MCPGateway) -> None:
        """Bring another document into force, between two requests.

        Connections and streams in flight go on. The ports stay as they are: their address is
        read at the start only.

        Raises:
            ConfigError: it cannot be; the one in force stays.
        """
        async with self._applying:
            try:
                await self._bring_into_force(document)
            except ConfigError:
                self._refused.add()
                raise
            self.document = document
            if self._listeners is not None:
                self._listeners.apply(document.spec.server)
            if self._fleet is not None:
                self._fleet.apply(document.spec.server.limits)
            self._follow_logging(document.spec.logging)
            self._say_what_waits(document.spec.server)
        log.info("document applied", extra={"fields": {"generation": self.engine.generation}})

    async def drain(self, grace: float) -> None:
        """Stop taking requests and let those in flight end within `grace` seconds."""
        self._draining = True
        until = asyncio.get_running_loop().time() + grace
        doors = [door for door in (self._listeners, self._fleet) if door is not None]
        await asyncio.gather(*(door.drain(grace) for door in doors))
        if self._engine is not None:
            await self._engine.drain(max(0.0, until - asyncio.get_running_loop().time()))
        rest = max(1.0, until - asyncio.get_running_loop().time())
        await asyncio.gather(self._recording.aclose(rest), self._tracing.aclose(rest))

    async def aclose(self) -> None:
        """Close everything now. Idempotent."""
        if self._link is not None:
            await self._link.aclose()
        if self._listeners is not None:
            await self._listeners.aclose()
        if self._fleet is not None:
            await self._fleet.aclose()
        if self._engine is not None:
            await self._engine.aclose()
        await asyncio.gather(self._recording.aclose(1.0), self._tracing.aclose(0.0))
        await self._supervisor.aclose()
        await self._simulators.aclose()
        if self._temporary is not None:
            await asyncio.to_thread(shutil.rmtree, self._temporary, ignore_errors=True)

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether requests should be sent here, and what speaks against it or is degraded."""
        details: dict[str, Any] = {}
        if self._draining:
            details["draining"] = "the gateway is shutting down"
        failed = self._supervisor.failed
        if failed:
            details["tasks"] = {name: str(error) for name, error in failed.items()}
        ready = not details
        recording = self._recording.stats()
        if recording is not None and recording.degraded:
            # A detail, never a reason: a gateway that cannot record can still answer.
            details["RecordingDegraded"] = recording.degraded
        return ready, details

    def status(self) -> dict[str, Any]:
        """The picture that `/status` and the status page show."""
        now = asyncio.get_running_loop().time()
        ready, details = self.ready()
        engine = self.engine
        live, governor = engine.accounts.live, engine.accounts.governor
        return {
            "name": self.document.metadata.name,
            "version": __version__,
            "ready": ready,
            "details": details,
            "generation": engine.generation,
            "uptimeSeconds": round(time.time() - self._started, 1),
            "urls": self.urls,
            "operator": self._link.picture() if self._link is not None else None,
            "providers": [account_picture(a, governor, now) for a in live.values()],
            "routes": [route_picture(route) for route in engine.snapshot.router.routes],
            "middleware": list(engine.snapshot.spec.middleware),
            "recording": msgspec.to_builtins(self._recording.stats()),
            "listener": asdict(self._listeners.stats()) if self._listeners is not None else None,
        }

    def metrics(self) -> bytes:
        """Everything counted, in Prometheus' text format."""
        return self._metrics.render()

    async def apply_config(self, document: bytes) -> dict[str, Any]:
        """`PUT /config`: check and apply a document; the generation it has here.

        Raises:
            ConfigError: it is wrong, or documents come from an operator; the one in force stays.
        """
        if self._link is not None:
            self._link.refuse_others()
        try:
            loaded = parse(document, source="PUT /config")
        except ConfigError:
            self._refused.add()
            raise
        await self.apply(loaded.document)
        return {"generation": self.engine.generation}

    async def apply_limits(self, limits: bytes) -> dict[str, Any]:
        """`PUT /limits`: check and apply limits, all or none.

        Raises:
            ConfigError: they are wrong; nothing was changed.
        """
        self.engine.set_limits(parse_limits(limits))
        return {"generation": self.engine.generation}

    async def _start(self) -> None:
        if self._control is not None:
            from mcp_gateway.app.fleet import Fleet  # noqa: PLC0415

            self._fleet = Fleet(self._control, self._metrics)
        self._engine = self._make_engine()
        # Before there is a document: the grant of the process before bounds the first one, too.
        link = self._make_link(self._control) if self._control is not None else None
        await self._bring_into_force(self.document)
        self._metrics.add_source(self._samples)
        if self._listen:
            self._listeners = Listeners(
                self.engine, self.document.spec.server, self, secrets=self._secrets
            )
            await self._listeners.start(self._bind)
        if self._fleet is not None and link is not None:
            await self._fleet.start(self._engine, self.document.spec.server.limits)
            self._link = link
            await link.start()

    def _make_engine(self) -> Engine:
        control = self._control
        return Engine(
            self._secrets,
            self._metrics,
            self._lines,
            self._fleet.caller if self._fleet is not None else None,
            in_fleet=control is not None,
            process=control.pod if control is not None else "",
        )

    def _make_link(self, control: Control) -> OperatorLink:
        # Loaded only for an operator: a WebSocket server of its own takes 2 MiB.
        from mcp_gateway.app.grant_file import GrantFile  # noqa: PLC0415
        from mcp_gateway.app.link import OperatorLink  # noqa: PLC0415

        return OperatorLink(
            control,
            self.document,
            self.apply,
            engine=self.engine,
            metrics=self._metrics,
            secrets=self._secrets,
            grants=GrantFile(self.data_dir, control.uid or control.pod),
        )

    async def _bring_into_force(self, document: MCPGateway) -> None:
        spec = await self._simulators.resolve(document.spec)
        self._recording.check(spec.recording)
        if self._listeners is not None:
            self._listeners.check(spec.server)
        prepared = self.engine.prepare(spec)
        tracing = await self._tracing.prepare(spec.monitoring.tracing)
        try:
            # The last that can fail; a spool shows only when it is opened whether it can be used.
            await self._recording.apply(spec.recording)
        except BaseException:
            self._tracing.discard(tracing)
            raise
        recorder = self._recording if spec.recording.enabled else None
        retired = self.engine.commit(prepared, recorder, self._tracing.apply(tracing))
        self._supervisor.start(
            f"retire what generation {self.engine.generation} replaced",
            lambda: self._retire(retired, spec),
            restart=False,
        )

    def _follow_logging(self, logging: Logging) -> None:
        text = logging.format == "text"
        self._lines.use(text=text)
        logs.reconfigure(logging.level, text=text)

    def _say_what_waits(self, server: Server) -> None:
        """Tell people what they changed in vain: it is read at the start only."""
        if self._listeners is None:
            return
        changed = changed_in_vain(self._opened, server)
        if changed:
            fields = {"settings": ", ".join(changed)}
            log.warning("read at the start only, restart to change it", extra={"fields": fields})

    async def _retire(self, accounts: list[Account], spec: Spec) -> None:
        """Let what is in flight on retired accounts end, then end what only they needed."""
        grace = spec.server.shutdown_grace
        await asyncio.gather(*(account.pool.drain(grace) for account in accounts))
        await self._simulators.release(self.engine.snapshot.spec)

    @property
    def data_dir(self) -> Path:
        """Where the gateway keeps its files."""
        if self._data_dir is None:
            self._temporary = tempfile.mkdtemp(prefix="mcp-gateway-")
            self._data_dir = Path(self._temporary)
        return self._data_dir

    def _samples(self) -> Iterator[Sample]:
        engine = self.engine
        yield metric.CONFIG_GENERATION, (), float(engine.generation)
        yield from account_samples(engine, asyncio.get_running_loop().time())
        if self._link is not None:
            yield from self._link.samples()
        recording = self._recording.stats()
        if recording is not None:
            yield from recording_samples(recording)
        spans = self._tracing.stats()
        if spans is not None:
            yield from tracing_samples(spans)
        if self._listeners is not None:
            yield from listener_samples(self._listeners.stats())
