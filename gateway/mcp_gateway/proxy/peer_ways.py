"""Open ways to other pods of this gateway: a small pool of connections for each.

TLS is the fleet's own: every pod shows the same certificate, made out to a name that stands in
no DNS, so the name to expect is read from our own certificate.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_gateway.concurrency.supervisor import Supervisor
from mcp_gateway.config.control_folder import ControlFolder
from mcp_gateway.errors import ConfigError
from mcp_gateway.upstream import opener
from mcp_gateway.upstream.connect import Connector, tls_context
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.pool import Pool, PoolSettings

log = logging.getLogger(__name__)

CONNECT: Final = 2.0
"""Seconds for TCP and TLS: a pod of one's own gateway is near, or away."""
SETTINGS: Final = PoolSettings(
    max_connections=32, max_overflow=224, idle_timeout=60.0, max_lifetime=1800.0
)
"""Of the connections to one pod. Who waits there for a slot holds one; who waits here for one of
them waits in a fair queue as well."""
MAX_WAYS: Final = 256
FORGET: Final = 300.0
"""Seconds after which a pod that nobody asks is forgotten."""
DRAIN: Final = 60.0
FLIGHTS: Final = 8
"""Times each side of a handshake may speak; TLS needs three."""


@dataclass(slots=True)
class Way:
    """The connections to one pod.

    Attributes:
        endpoint: where it is.
        pool: lends the connections.
        used: loop time when one was last asked for.
        refused: the token that the pod did not know when it was last shown one.
    """

    endpoint: Endpoint
    pool: Pool
    used: float = 0.0
    refused: str = ""


class PeerWays:
    """Keeps the ways, and makes them anew when the fleet's certificates change.

    Args:
        folder: the fleet's files.
        make: makes what opens connections.

    Attributes:
        tokens: those to show, the newest first: pods learn of a new token at different times.
    """

    def __init__(
        self, folder: ControlFolder, make: Callable[..., opener.Connector] = Connector
    ) -> None:
        self.tokens: tuple[str, ...] = ()
        self._new_connector = make
        self._folder = folder
        self._connector: opener.Connector | None = None
        self._trusted: tuple[str, str] | None = None
        self._ways: dict[str, Way] = {}
        self._supervisor = Supervisor()
        self._closed = 0
        self.reload()

    def reload(self) -> None:
        """Read the files again; what cannot be read leaves what was read before."""
        try:
            token = self._folder.read_token()
            authority = self._folder.read_authority()
            name = server_name(self._folder, authority)
        except ConfigError as exc:
            log.warning("other pods cannot be asked", extra={"fields": {"error": str(exc)}})
            return
        if token not in self.tokens[:1]:
            self.tokens = (token, *self.tokens[:1])
        if (authority, name) != self._trusted:
            self._trusted = (authority, name)
            context = tls_context(authority)
            self._connector = self._new_connector(timeout=CONNECT, tls=context, server_name=name)
            for address in list(self._ways):
                self._close(address)

    def to(self, address: str, now: float) -> Way | None:
        """The way to `host:port`; None where there can be none."""
        way = self._ways.get(address)
        if way is None:
            way = self._make(address, now)
        if way is not None:
            way.used = now
        return way

    def token(self, way: Way) -> str:
        """The token to show there: the newest, unless it was refused."""
        return next((token for token in self.tokens if token != way.refused), self.tokens[0])

    def token_refused(self, way: Way, token: str) -> None:
        """The pod does not know a token, or not yet: try the other one next."""
        way.refused = token

    async def aclose(self) -> None:
        """Close every connection. Idempotent."""
        await self._supervisor.aclose()
        ways, self._ways = self._ways, {}
        for way in ways.values():
            await way.pool.aclose()

    def _make(self, address: str, now: float) -> Way | None:
        if self._connector is None:
            return None
        for known, way in list(self._ways.items()):
            if now - way.used > FORGET and not (way.pool.in_flight or way.pool.waiting):
                self._close(known)
        if len(self._ways) >= MAX_WAYS:
            return None
        try:
            endpoint = Endpoint.parse(f"https://{address}")
        except ConfigError:
            return None  # whoever asked says so, and not for each request
        pool = Pool(f"pod {address}", [endpoint], self._connector, SETTINGS)
        way = self._ways[address] = Way(endpoint, pool)
        return way

    def _close(self, address: str) -> None:
        """Let what is in flight end in the background."""
        way = self._ways.pop(address)
        self._closed += 1
        self._supervisor.start(
            f"close way {self._closed}", lambda: way.pool.drain(DRAIN), restart=False
        )


def server_name(folder: ControlFolder, authority: str) -> str:
    """The name that the fleet's certificate is made out to.

    Found by a handshake with ourselves in memory, which also shows that whoever trusts
    `authority` will trust the certificate.

    Raises:
        ConfigError: the certificate cannot be used.
    """
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client_side = tls_context(authority)
    client_side.check_hostname = False
    try:
        server_side.load_cert_chain(folder.certificate, folder.key, password=str)
        certificate = _shown(client_side, server_side)
    except OSError as exc:  # SSLError is one
        reason = exc.verify_message if isinstance(exc, ssl.SSLCertVerificationError) else exc
        raise ConfigError(f"the fleet's certificate cannot be used: {reason}") from exc
    names = certificate.get("subjectAltName", ())
    name = next((str(value) for kind, value in names if kind == "DNS"), "")
    if not name:
        raise ConfigError("the fleet's certificate is made out to no name")
    return name


def _shown(client_side: ssl.SSLContext, server_side: ssl.SSLContext) -> Mapping[str, Any]:
    """The certificate that a client sees, verified.

    Raises:
        SSLError: the client does not trust it.
    """
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(back, there)
    server = server_side.wrap_bio(there, back, server_side=True)
    for _ in range(FLIGHTS):
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
            return client.getpeercert() or {}
        with contextlib.suppress(ssl.SSLWantReadError):
            server.do_handshake()
    raise ssl.SSLError("the handshake did not end")
