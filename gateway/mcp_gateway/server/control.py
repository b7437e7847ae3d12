"""The control port: where a pod's operator gives it configurations and hears how it is.

A port of its own, because everything on it is for one peer that proves itself: TLS with a
certificate that the operator made, a bearer token in the upgrade request, one WebSocket. Probes
and metrics stay plain on the admin port for the kubelet and Prometheus.

The files `tls.crt`, `tls.key` and `token` of the control folder are followed: a new certificate
holds for the next handshake, and a new token closes the channels that were opened by the old one.
Several operators may be connected at a time, an old leader and a new one; `ControlBackend`
decides whose word counts.
"""

from __future__ import annotations

import asyncio
import hmac
import http
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from mcp_gateway.api.control import (
    MAX_DOWN,
    MAX_UP,
    PATH,
    SILENCE,
    SUBPROTOCOL,
    Ack,
    Config,
    Down,
    Grant,
    Hello,
    Ping,
    Pong,
    Probe,
    Probed,
    ProbeResult,
    Refused,
    Report,
    read_down,
)
from mcp_gateway.concurrency.supervisor import Supervisor
from mcp_gateway.config.control_folder import ControlFolder
from mcp_gateway.config.watch import FileWatcher
from mcp_gateway.errors import ConfigError, ProtocolError
from mcp_gateway.server.reporting import Pulse, Reporter
from mcp_gateway.server.tls import Certificate

LOGGER = logging.getLogger(__name__)

MAX_CHANNELS = 8
"""Open at a time: a leader, those it follows, and connections that are going away."""
MAX_PENDING = 32
"""Connections that have not yet shown a token."""
MAX_INVALID = 8
"""Messages that are none, after which a channel is closed."""
HANDSHAKE = 10.0
CLOSING = 2.0
TOKEN_CHANGED = 4401


class ControlBackend(Protocol):
    """What the control port needs of the gateway behind it."""

    def hello(self) -> Hello:
        """Who this is and what it runs."""

    def offer(self, config: Config) -> Ack | Refused | None:
        """Take a configuration, or refuse it; None where the answer follows by `tell`."""

    def report(self) -> Report:
        """How the requests went so far, and how the limits are used."""

    def pulse(self) -> Pulse:
        """What decides whether it is time to report."""

    @property
    def report_every(self) -> float:
        """Seconds between two reports while others could care."""

    async def grant(self, grant: Grant) -> bool:
        """Use what is granted from now on; False where a newer grant was heard."""

    def hear(self) -> None:
        """The operator said something, whatever it was."""

    def channels(self, count: int) -> None:
        """So many channels are open now."""

    async def probe(self, providers: Sequence[str]) -> list[ProbeResult]:
        """Ask providers for the cheapest thing they have. Never raises."""


class ControlPort:
    """Listens for the operator.

    Args:
        folder: holds `tls.crt`, `tls.key` and `token`.
        backend: the gateway.

    Raises:
        ConfigError: a file is missing or wrong.
    """

    def __init__(self, folder: Path, backend: ControlBackend) -> None:
        self._folder = ControlFolder(folder)
        self._certificate = Certificate(self._folder.certificate, self._folder.key)
        self._token = self._folder.read_token()
        self._backend = backend
        self._server: Server | None = None
        self._supervisor = Supervisor()
        self._open: set[ServerConnection] = set()

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 lets the system choose.

        Raises:
            OSError: the address cannot be had.
        """
        self._server = await serve(
            self._serve,
            host,
            port,
            ssl=self._certificate.context,
            ssl_handshake_timeout=HANDSHAKE,
            process_request=self._admit,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            server_header=None,
            open_timeout=HANDSHAKE,
            close_timeout=CLOSING,
            ping_interval=None,  # the channel's own heartbeat says that the peer works, not only is
            max_size=MAX_DOWN,
            max_queue=4,
            write_limit=MAX_UP,
            create_connection=_BoundedConnection,
            logger=_QUIET,
        )
        watcher = FileWatcher([*self._certificate.paths, self._folder.token_file], self._reload)
        self._supervisor.start("watch control files", watcher.run)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on."""
        assert self._server is not None, "started before it is asked"
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return str(host), int(port)

    def tell(self, message: Ack | Refused) -> None:
        """Send a message on every channel. Waits for nobody."""
        broadcast(self._open, message.encode())

    async def aclose(self) -> None:
        """Close every channel and the port. Idempotent."""
        await self._supervisor.aclose()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    # --- who may come in ---------------------------------------------------------------

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse whoever is not the operator before there is a channel."""
        if request.path != PATH:
            return connection.respond(http.HTTPStatus.NOT_FOUND, "no such path\n")
        if not self._knows(request.headers.get_all("Authorization")):
            LOGGER.warning("control channel refused", extra={"fields": {"reason": "token"}})
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "not the gateway's token\n")
        if len(self._open) >= MAX_CHANNELS:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "too many channels\n")
        return None

    def _knows(self, credentials: Sequence[str]) -> bool:
        if len(credentials) != 1:
            return False
        scheme, _, given = credentials[0].partition(" ")
        # The library hands bytes that are not ASCII on as surrogates.
        token = given.strip().encode("utf-8", "surrogateescape")
        return scheme.lower() == "bearer" and hmac.compare_digest(token, self._token.encode())

    def _reload(self) -> None:
        self._certificate.reload()
        try:
            token = self._folder.read_token()
        except ConfigError as exc:
            LOGGER.error("token not reloaded", extra={"fields": {"error": str(exc)}})
            return
        if token == self._token:
            return
        self._token = token
        for number, connection in enumerate(tuple(self._open)):
            self._supervisor.start(
                f"close channel {number} {id(connection)}",
                lambda it=connection: it.close(TOKEN_CHANGED, "the token changed"),  # type: ignore[misc]
                restart=False,
            )

    # --- one channel -------------------------------------------------------------------

    async def _serve(self, connection: ServerConnection) -> None:
        self._open.add(connection)
        self._backend.channels(len(self._open))
        peer = {"fields": {"peer": _peer(connection)}}
        LOGGER.info("control channel opened", extra=peer)
        try:
            await ControlChannel(connection, self._backend).run()
        except ConnectionClosed:
            pass
        finally:
            self._open.discard(connection)
            self._backend.channels(len(self._open))
            LOGGER.info("control channel closed", extra=peer)


class _BoundedConnection(ServerConnection):
    """A connection that is cut at once where too many wait to show their token.

    Whoever can reach the port can open connections; they must not take the process's files.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if len(self.server.handlers) >= MAX_CHANNELS + MAX_PENDING:
            assert isinstance(transport, asyncio.Transport) or hasattr(transport, "abort")
            transport.abort()
        super().connection_made(transport)


class ControlChannel:
    """Talks with one operator until either end gives up."""

    def __init__(self, connection: ServerConnection, backend: ControlBackend) -> None:
        self._connection = connection
        self._backend = backend
        self._supervisor = Supervisor()
        self._invalid = 0
        self._probing = 0
        self._reporter = Reporter(connection.send, backend)

    async def run(self) -> None:
        """Greet, then answer until the channel ends."""
        await self._connection.send(self._backend.hello().encode())
        self._supervisor.start("report", self._reporter.run, restart=False)
        try:
            await self._listen()
        except TimeoutError:
            await self._connection.close(1001, f"silent for {SILENCE:.0f} seconds")
        finally:
            await self._supervisor.aclose()

    async def _listen(self) -> None:
        while True:
            async with asyncio.timeout(SILENCE):
                text = await self._connection.recv()
            try:
                message = read_down(text)
            except ProtocolError as exc:
                self._invalid += 1
                LOGGER.warning("control message", extra={"fields": {"error": str(exc)}})
                if self._invalid >= MAX_INVALID:
                    await self._connection.close(1008, "too many invalid messages")
                    return
                continue
            self._backend.hear()
            await self._answer(message)

    async def _answer(self, message: Down | None) -> None:
        match message:
            case Ping():
                # The counts go first: who pings may be about to compare them.
                await self._reporter.tell_news()
                await self._connection.send(Pong().encode())
            case Config():
                answer = self._backend.offer(message)
                if answer is not None:
                    await self._connection.send(answer.encode())
            case Grant():
                if await self._backend.grant(message):
                    await self._reporter.tell()
            case Probe():
                await self._probe(message)
            case None:
                pass  # of a newer operator

    async def _probe(self, question: Probe) -> None:
        # One at a time: a second question means that nobody waits for the first answer.
        await self._supervisor.stop(f"probe {self._probing}")
        self._probing += 1
        self._supervisor.start(f"probe {self._probing}", lambda: self._ask(question), restart=False)

    async def _ask(self, question: Probe) -> None:
        results = await self._backend.probe(question.providers)
        with suppress(ConnectionClosed):
            await self._connection.send(Probed(id=question.id, results=results).encode())


_QUIET = logging.getLogger("mcp_gateway.server.control.wire")
"""Every port scanner makes the library log a traceback: what matters is logged here."""
_QUIET.setLevel(logging.CRITICAL)


def _peer(connection: ServerConnection) -> str:
    address = connection.remote_address
    return str(address[0]) if address else ""
