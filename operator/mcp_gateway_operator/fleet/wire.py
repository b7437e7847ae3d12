"""Dials a pod's control port: TLS against our own authority, a token, one WebSocket.

Everything a network can do ends here as `Unconnected` or `Lost`, with a sentence for people.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)
from websockets.typing import Subprotocol

from mcp_gateway.api.control import MAX_UP, PATH, SILENCE, SUBPROTOCOL

CONNECT: Final = 5.0
"""Seconds for TCP, TLS and the upgrade together."""
CLOSING: Final = 1.0
DIALS: Final = 128
"""At a time: a new leader meets every pod of the cluster at once. As many as this may hang, with
a node that is gone, before others have to wait for their turn."""
_UNAUTHORIZED: Final = 401


class Unconnected(Exception):
    """No channel could be opened."""


class WrongToken(Unconnected):
    """The pod does not know the token, or not yet."""


class Lost(Exception):
    """A channel ended."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a pod's control port is and who must answer there.

    Attributes:
        host, port: to connect to.
        server_name: what the certificate must be made out to.
        ca: PEM of the certificates that it must chain to.
    """

    host: str
    port: int
    server_name: str
    ca: str


class Wire(Protocol):
    """An open channel that carries text."""

    async def send(self, text: str) -> None:
        """Send one message; waits while the pod does not read.

        Raises:
            Lost: the channel ended.
        """

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            Lost: the channel ended, or the pod broke the protocol or its bounds.
        """


class Dialer:
    """Opens channels, not too many at a time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(DIALS)

    @asynccontextmanager
    async def dial(self, address: Address, token: str) -> AsyncIterator[Wire]:
        """Open a channel for the length of the block.

        Raises:
            Unconnected: it cannot be opened.
        """
        async with self._turns:
            connection = await _connect(address, token)
        try:
            yield _Channel(connection)
        finally:
            await connection.close()


class _Channel:
    """A `Wire` over the library's connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            async with asyncio.timeout(SILENCE):
                await self._connection.send(text)
        except ConnectionClosed as exc:
            raise Lost(_closed(exc)) from exc
        except TimeoutError as exc:
            raise Lost("the pod does not read") from exc

    async def receive(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except ConnectionClosed as exc:
            raise Lost(_closed(exc)) from exc


class _Connect(connect):
    """Dials one address and no other: a pod does not send our token elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _connect(address: Address, token: str) -> ClientConnection:
    try:
        return await _Connect(
            f"wss://{address.server_name}{PATH}",
            host=address.host,
            port=address.port,
            ssl=_context(address.ca),
            server_hostname=address.server_name,
            additional_headers={"Authorization": f"Bearer {token}"},
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            proxy=None,  # a pod is never behind the proxy of the operator's environment
            user_agent_header=None,
            open_timeout=CONNECT,
            close_timeout=CLOSING,
            ping_interval=None,  # the channel's own heartbeat
            max_size=MAX_UP,
            max_queue=4,
            logger=_QUIET,
        )
    except InvalidStatus as exc:
        status = exc.response.status_code
        if status == _UNAUTHORIZED:
            raise WrongToken("the pod does not know our token yet") from exc
        raise Unconnected(f"the control port answered with HTTP {status}") from exc
    except ssl.SSLError as exc:
        raise Unconnected(f"TLS with the control port failed: {_tls(exc)}") from exc
    except TimeoutError as exc:
        raise Unconnected(f"the control port did not answer within {CONNECT:.0f} s") from exc
    except (InvalidHandshake, InvalidMessage, InvalidURI) as exc:
        raise Unconnected(f"the control port does not speak our protocol: {exc}") from exc
    except (OSError, EOFError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        raise Unconnected(f"the control port cannot be reached: {reason}") from exc


@lru_cache(maxsize=8)
def _context(ca: str) -> ssl.SSLContext:
    """One context for all pods: each costs a quarter of a megabyte, and their authority is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=ca)
    return context


def _tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.reason or str(error)


def _closed(error: ConnectionClosed) -> str:
    received = error.rcvd
    if received is None:
        sent = error.sent
        return f"we closed the channel: {sent.reason or sent.code}" if sent else "connection lost"
    return f"the pod closed the channel: {received.reason or received.code}"


_QUIET = logging.getLogger("mcp_gateway_operator.fleet.wire.library")
"""The library logs a traceback for each pod that goes away; what matters is logged by the fleet."""
_QUIET.setLevel(logging.CRITICAL)
