"""All the doors of one gateway: built from a document, opened, drained and closed together."""

from __future__ import annotations

from pathlib import Path

from mcp_gateway.api.server import Server, is_loopback
from mcp_gateway.concurrency.supervisor import Supervisor
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.config.watch import FileWatcher
from mcp_gateway.server.admin import AdminFace
from mcp_gateway.server.backend import AdminBackend, Engine
from mcp_gateway.server.front import Front
from mcp_gateway.server.listener import HTTPListener, ListenerStats
from mcp_gateway.server.mcp import MCPService
from mcp_gateway.server.mcp_http import MCPOverHTTP
from mcp_gateway.server.message import Bounds
from mcp_gateway.server.openai import OpenAIFace
from mcp_gateway.server.origin import ANY, Guard
from mcp_gateway.server.tls import Certificate
from mcp_gateway.server.websocket import WebSocketUpgrade

ADMIN_CONNECTIONS = 128
ADMIN_BODY = 1 << 20


class Listeners:
    """The main port and the admin port.

    `start`, then `drain`, then `aclose`; must be made inside the
    running loop.
    """

    def __init__(
        self,
        engine: Engine,
        server: Server,
        backend: AdminBackend,
        *,
        secrets: SecretReader,
    ) -> None:
        """Build the applications; nothing is opened yet.

        Args:
            engine: carries the exchanges.
            server: `spec.server` of the document in force.
            backend: what the admin port shows and changes.
            secrets: reads the admin token and the certificate.

        Raises:
            ConfigError: the certificate or the token cannot be read.
        """
        self._server = server
        self._secrets = secrets
        self._certificate = _certificate(server, secrets)
        token = _token(server, secrets)
        self._supervisor = Supervisor()
        service = MCPService(engine)
        self._front = Front(
            _guard(server),
            path=server.path,
            mcp=MCPOverHTTP(service) if server.http else None,
            websocket=WebSocketUpgrade(service, lambda: self.main) if server.websocket else None,
            openai=OpenAIFace(engine) if server.openai else None,
        )
        context = None if self._certificate is None else self._certificate.context
        self.main = HTTPListener(self._front, _bounds(server), tls=context)
        self._admin_face = AdminFace(backend, _admin_guard(server), token)
        self.admin = HTTPListener(
            self._admin_face,
            # Whoever can reach the port must not keep probes from it.
            Bounds(max_connections=ADMIN_CONNECTIONS, max_body=ADMIN_BODY, makes_room=True),
        )

    async def start(self, bind: str = "") -> None:
        """Open both ports, and watch the certificate's files.

        Args:
            bind: address to listen on where the document says 0.0.0.0, all of this machine's.

        Raises:
            OSError: a port cannot be had.
        """
        server = self._server
        try:
            await self.admin.start(chosen(server.admin_host, bind), server.admin_port)
            await self.main.start(chosen(server.host, bind), server.port)
        except BaseException:
            await self.aclose()
            raise
        if self._certificate is not None:
            watcher = FileWatcher(self._certificate.paths, self._certificate.reload)
            self._supervisor.start("watch certificate", watcher.run)

    def check(self, server: Server) -> None:
        """Find out what would keep `apply` from following a document.

        Raises:
            ConfigError: the token cannot be read.
        """
        _token(server, self._secrets)

    def apply(self, server: Server) -> None:
        """Follow another document: its bounds, allowed hosts and origins, and admin token.

        Addresses, paths, faces and the certificate's place hold until the process ends.
        Connections that are open stay open; a bound that shrank holds for what comes.

        Raises:
            ConfigError: the token cannot be read; nothing was changed.
        """
        token = _token(server, self._secrets)
        self._front.guard = _guard(server)
        self._admin_face.change_token(token)
        self.main.bounds = _bounds(server)

    @property
    def urls(self) -> dict[str, str]:
        """Where everything is: `http`, `websocket`, `openai`, `admin`, those that are switched on.

        A wildcard address reads as 127.0.0.1, so that each URL can be used as it stands.
        """
        server, secure = self._server, "s" if self._certificate is not None else ""
        base = _authority(self.main)
        urls = {}
        if server.http:
            urls["http"] = f"http{secure}://{base}{server.path}"
        if server.websocket:
            urls["websocket"] = f"ws{secure}://{base}{server.path}"
        if server.openai:
            urls["openai"] = f"http{secure}://{base}/v1"
        return {**urls, "admin": f"http://{_authority(self.admin)}"}

    def stats(self) -> ListenerStats:
        """A picture of the main port."""
        return self.main.stats()

    async def drain(self, grace: float) -> int:
        """Stop accepting, let what is in work end within `grace` seconds, cut the rest.

        The admin port stays open: whoever watches the shutdown sees its end.

        Returns:
            How many exchanges had to be cancelled.
        """
        return await self.main.drain(grace)

    async def aclose(self) -> None:
        """Close both ports and everything on them now. Idempotent."""
        await self._supervisor.aclose()
        await self.main.aclose()
        await self.admin.aclose()


def chosen(host: str, bind: str) -> str:
    """The address to listen on: `bind`, where there is one and `host` means all of them."""
    return bind if bind and host == "0.0.0.0" else host  # noqa: S104 - compared, not bound


def _authority(listener: HTTPListener) -> str:
    host, port = listener.address
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - read, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bounds(server: Server) -> Bounds:
    limits = server.limits
    return Bounds(
        max_body=limits.max_body,
        max_frame=limits.max_frame,
        max_header=limits.max_header,
        max_connections=limits.max_connections,
        max_in_flight=limits.max_in_flight_per_connection,
        request_timeout=limits.request_timeout,
        idle_timeout=limits.idle_timeout,
    )


def _guard(server: Server) -> Guard:
    return Guard(
        allowed_hosts=server.allowed_hosts,
        allowed_origins=server.allowed_origins,
        loopback=is_loopback(server.host),
    )


def _admin_guard(server: Server) -> Guard:
    # Any origin passes here, because the face compares it with the host by itself.
    return Guard(allowed_origins=[ANY], loopback=is_loopback(server.admin_host))


def _token(server: Server, secrets: SecretReader) -> str | None:
    return None if server.admin_token is None else secrets.read(server.admin_token)


def _certificate(server: Server, secrets: SecretReader) -> Certificate | None:
    tls = server.tls
    if tls is None:
        return None
    if tls.secret_name is not None:
        return Certificate(
            secrets.path(tls.secret_name, "tls.crt"), secrets.path(tls.secret_name, "tls.key")
        )
    assert tls.cert_file is not None, "the schema wants a Secret or two files"
    assert tls.key_file is not None, "the schema wants both files"
    return Certificate(Path(tls.cert_file), Path(tls.key_file))
