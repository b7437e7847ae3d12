"""Read what a client sent: one HTTP request, or one WebSocket frame.

The order of checks over HTTP is the reference implementation's, because clients and conformance
tests branch on which error comes first: content type, `Accept`, JSON, notification, envelope,
repeated routing header, `_meta`, `MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name`, revision,
method, parameters. Security (origin, host, credentials) and the HTTP method come before, and are
the listener's; `Mcp-Param-*` comes after and needs the tool's schema.

Which era a message belongs to is decided by the message: `_meta` with a protocol version is
stateless, whatever the headers say; without one, the header decides; without both it is of the
handshake era. No session id is ever minted, so any replica can serve any request.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct

from mcp_gateway.errors import InvalidMessage, ProtocolError
from mcp_gateway.protocol import handshake, jsonrpc, stateless
from mcp_gateway.protocol.event import Call, Notified, Replied
from mcp_gateway.protocol.handshake import Session
from mcp_gateway.protocol.headers import Headers
from mcp_gateway.protocol.jsonrpc import Id, Notification, Rejected, Reply, Request, valid_id
from mcp_gateway.protocol.media import accepts, is_json
from mcp_gateway.protocol.params import read
from mcp_gateway.protocol.stateless import VERSION_HEADER
from mcp_gateway.protocol.status import http_status
from mcp_gateway.protocol.versions import Era, stateless_revision

__all__ = [
    "SERVED",
    "Call",
    "Event",
    "Notified",
    "Rejected",
    "Replied",
    "Session",
    "receive_frame",
    "receive_http",
]

SERVED = {Era.HANDSHAKE: handshake.METHODS, Era.STATELESS: stateless.METHODS}
"""The methods that are served, by era. All others are unknown (-32601)."""

Event = Call | Notified | Replied | Rejected

CANCELLED = "notifications/cancelled"


def receive_http(headers: Headers, body: bytes) -> Event:
    """Read the headers and the body of a POST to the MCP endpoint. Never raises."""
    if not is_json(headers.get(b"content-type", b"")):
        return Rejected(InvalidMessage("the header Content-Type must be application/json"))
    takes_json, takes_sse = accepts(headers.get(b"accept", b"*/*"))
    if not takes_json:
        return Rejected(InvalidMessage("the header Accept leaves out application/json"), status=406)
    message = jsonrpc.decode(body)
    stated = headers.get(VERSION_HEADER)
    version = None if stated is None else stated.decode("latin-1")
    era = Era.HANDSHAKE
    if version is not None and stateless_revision(version) is not None:
        era = Era.STATELESS
    if not isinstance(message, Request):
        return _unanswered(message, era, version)
    try:
        parameters = read(message.params)
        if era is Era.STATELESS or parameters.meta.version is not UNSET:
            era = Era.STATELESS
            return stateless.over_http(message, parameters, headers, wants_sse=takes_sse)
        return handshake.over_http(message, parameters, version, wants_sse=takes_sse)
    except ProtocolError as error:
        return Rejected(error, message.id, http_status(error, era))


def receive_frame(session: Session, text: bytes) -> Event:
    """Read one WebSocket text frame. Never raises.

    Args:
        session: the connection's; `initialize` changes it.
        text: the payload of the frame.
    """
    message = jsonrpc.decode(text)
    if not isinstance(message, Request):
        return _unanswered_frame(message)
    try:
        parameters = read(message.params)
        if parameters.meta.version is not UNSET:
            return stateless.over_frame(message, parameters)
        return handshake.over_frame(message, parameters, session)
    except ProtocolError as error:
        return Rejected(error, message.id)


class _Cancelled(Struct):
    id: Id | None = msgspec.field(name="requestId", default=None)


_cancelled = msgspec.json.Decoder(_Cancelled).decode


def _unanswered(
    message: Notification | Reply | Rejected, era: Era, version: str | None
) -> Notified | Replied | Rejected:
    """Take in an HTTP message that is owed no JSON-RPC answer."""
    if isinstance(message, Rejected):
        return message
    if era is Era.HANDSHAKE:
        try:
            handshake.revision_of(version)
        except ProtocolError as error:
            return Rejected(error)
    if isinstance(message, Notification):
        cancels = _cancels(message) if era is Era.HANDSHAKE else None
        return Notified(method=message.method, era=era, cancels=cancels)
    if era is Era.STATELESS:
        # MCP 2026-07-28 §transports: the body is a request or a notification, never a response.
        return Rejected(InvalidMessage("a response cannot be posted: send a request"))
    return _dropped(message)


def _unanswered_frame(
    message: Notification | Reply | Rejected,
) -> Notified | Replied | Rejected:
    if isinstance(message, Rejected):
        return message
    if isinstance(message, Notification):
        return Notified(method=message.method, era=Era.HANDSHAKE, cancels=_cancels(message))
    return _dropped(message)


def _dropped(reply: Reply) -> Replied:
    return Replied(id=reply.id, type=reply.type)


def _cancels(message: Notification) -> Id | None:
    """Return the id that a notification cancels; a malformed one cancels nothing.

    MCP 2025-11-25 §cancellation: invalid cancellations are to be ignored.
    """
    if message.method != CANCELLED:
        return None
    try:
        known = _cancelled(message.params).id
    except msgspec.ValidationError:
        return None
    return known if known is not None and valid_id(known) else None
