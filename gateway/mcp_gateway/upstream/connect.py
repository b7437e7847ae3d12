"""Opens connections: name, TCP, an outbound proxy where there is one, TLS."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

from mcp_gateway.errors import ConfigError, ConnectFailed, UpstreamTimeout
from mcp_gateway.upstream.connection import Connection
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.http1 import MAX_BODY, MAX_HEAD

_MAX_PROXY_HEAD = 16 * 1024


def tls_context(ca_pem: str | None = None) -> ssl.SSLContext:
    """Make a context that verifies the peer's certificate and name.

    Build it once and share it: loading the system's authorities takes milliseconds.

    Args:
        ca_pem: certificates of the only authorities to trust; None means the system's.

    Raises:
        ConfigError: `ca_pem` holds no certificate.
    """
    message = "expected a CA bundle of certificates in PEM"
    if ca_pem is not None and not ca_pem.strip():
        raise ConfigError(message)  # or ssl would quietly take the system's
    try:
        context = ssl.create_default_context(cadata=ca_pem)
    except (ssl.SSLError, ValueError) as exc:
        raise ConfigError(message) from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True, slots=True)
class Proxy:
    """An outbound HTTP proxy; every connection goes through a CONNECT tunnel.

    Attributes:
        endpoint: where the proxy listens; its scheme is `http`.
        authorization: value of Proxy-Authorization, or empty. Never shown.
    """

    endpoint: Endpoint
    authorization: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.endpoint})"

    @classmethod
    def parse(cls, url: str, credentials: str | None = None) -> Proxy:
        """Read `http://[user:password@]host:port`.

        Args:
            url: where it listens.
            credentials: `user:password`, where they are not in the URL.

        Raises:
            ConfigError: it is not such a URL.
        """
        try:
            parts = urlsplit(url)
        except ValueError as exc:
            raise ConfigError("expected a proxy URL such as http://proxy.example.com:3128") from exc
        user, at, host = parts.netloc.rpartition("@")
        endpoint = Endpoint.parse(urlunsplit(parts._replace(netloc=host)))
        if endpoint.tls or endpoint.base_path:
            raise ConfigError("expected a proxy URL that begins with http:// and has no path")
        credentials = credentials or (unquote(user) if at else "")
        if not credentials:
            return cls(endpoint)
        return cls(endpoint, "Basic " + base64.b64encode(credentials.encode()).decode())


class Connector:
    """Opens connections to the endpoints of one provider.

    Args:
        timeout: seconds for everything until the connection is usable.
        tls: context for `https` endpoints; by default one with the system's authorities.
        proxy: go through it.
        server_name: what certificates must be made out to; by default the endpoint's host.
        max_head, max_body: bounds of answers, in bytes.
    """

    def __init__(
        self,
        *,
        timeout: float = 5.0,
        tls: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        server_name: str | None = None,
        max_head: int = MAX_HEAD,
        max_body: int = MAX_BODY,
    ) -> None:
        self._timeout = timeout
        self._tls = tls
        self._proxy = proxy
        self._server_name = server_name
        self._max_head = max_head
        self._max_body = max_body

    async def connect(self, endpoint: Endpoint) -> Connection:
        """Open a connection to `endpoint`; it is READY.

        Raises:
            ConnectFailed: it could not be opened. Nothing of a request was sent.
            UpstreamTimeout: it was not usable in time; `phase` is `connect`.
        """
        connection = Connection(
            endpoint,
            asyncio.get_running_loop(),
            max_head=self._max_head,
            max_body=self._max_body,
        )
        try:
            async with asyncio.timeout(self._timeout):
                if self._proxy is None:
                    await self._open(connection, endpoint)
                else:
                    await self._open_through(self._proxy, connection, endpoint)
        except TimeoutError as exc:
            connection.abort()
            message = f"no connection to {endpoint} within {self._timeout:g} s"
            raise UpstreamTimeout(message, phase="connect") from exc
        except (OSError, ssl.SSLError) as exc:
            connection.abort()
            raise ConnectFailed(f"no connection to {endpoint}: {_reason(exc)}") from exc
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _open(self, connection: Connection, endpoint: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        context = self._context() if endpoint.tls else None
        transport, _ = await loop.create_connection(
            lambda: connection,
            endpoint.host,
            endpoint.port,
            ssl=context,
            server_hostname=self._server_name if context is not None else None,
        )
        _keep_alive(transport)

    async def _open_through(self, proxy: Proxy, connection: Connection, endpoint: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        tunnel = _Tunnel(proxy, endpoint, loop)
        transport, _ = await loop.create_connection(
            lambda: tunnel, proxy.endpoint.host, proxy.endpoint.port
        )
        try:
            await tunnel.opened
            _keep_alive(transport)
            if not endpoint.tls:
                transport.set_protocol(connection)
                connection.connection_made(transport)
                return
            secured = await loop.start_tls(
                transport,
                connection,
                self._context(),
                server_hostname=self._server_name or endpoint.host,
            )
            if secured is None:  # closed in the moment the handshake ended
                raise ConnectionError("closed during the handshake")
            connection.connection_made(secured)
        except BaseException:
            transport.abort()
            raise

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context()
        return self._tls


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel (RFC 9110 §9.3.6); `opened` resolves when it is there."""

    def __init__(self, proxy: Proxy, endpoint: Endpoint, loop: asyncio.AbstractEventLoop) -> None:
        self.opened: asyncio.Future[None] = loop.create_future()
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        # CONNECT names the port even where it is the scheme's own.
        target = f"{host}:{endpoint.port}"
        head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
        if proxy.authorization:
            head += f"Proxy-Authorization: {proxy.authorization}\r\n"
        self._request = f"{head}\r\n".encode("ascii")
        self._answer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined]  # a TCP transport

    def data_received(self, data: bytes) -> None:
        self._answer += data
        end = self._answer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._answer) > _MAX_PROXY_HEAD:
                self._fail("the proxy's answer is too long")
            return
        status = bytes(self._answer[:end].split(b"\r\n", 1)[0]).split(b" ", 2)
        if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or not status[1].isdigit():
            self._fail("the proxy does not speak HTTP/1.1")
        elif not 200 <= int(status[1]) < 300:
            self._fail(f"the proxy answered {int(status[1]):d}")
        elif len(self._answer) > end + 4:
            self._fail("the proxy sent bytes before the tunnel was used")
        elif not self.opened.done():
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the proxy closed the connection")

    def _fail(self, reason: str) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(reason))


def _keep_alive(transport: asyncio.BaseTransport) -> None:
    """Let the kernel find out about a peer that vanished, and keep NAT entries alive.

    An LLM may think for minutes without a byte on the wire.
    """
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def _reason(exc: OSError) -> str:
    """What went wrong, in few words and on one line."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {exc.verify_message}"
    if isinstance(exc, socket.gaierror):
        return "name not found"
    return (exc.strerror or str(exc) or exc.__class__.__name__).splitlines()[0][:200]
