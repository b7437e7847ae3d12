"""Read what a client sent: one HTTP request, or one WebSocket frame.

The order of checks over HTTP is the reference implementation's, because clients and conformance
tests branch on which error comes first: content type, `Accept`, JSON, notification, envelope,
repeated routing header, `_meta`, `MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name`, revision,
method, parameters. Security (origin, host, credentials) and the HTTP method come before, and are
the listener's. `Mcp-Param-*` is ignored: no tool here declares a parameter as a header.

Which era a message belongs to is decided by the message: `_meta` with a protocol version is
stateless, whatever the headers say; without one, the header decides; without both it is of the
handshake era. No session id is ever minted, so any replica can serve any request.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType

from mcp_gateway.errors import InvalidMessage, ProtocolError
from mcp_gateway.protocol import handshake, jsonrpc, stateless
from mcp_gateway.protocol.event import Call, Notified, Replied
from mcp_gateway.protocol.handshake import Session
from mcp_gateway.protocol.headers import Headers
from mcp_gateway.protocol.jsonrpc import Id, Notification, Rejected, Reply, Request, in_bounds
from mcp_gateway.protocol.media import terms
from mcp_gateway.protocol.params import MAX_TOOL_NAME, VERSION_KEY, read
from mcp_gateway.protocol.stateless import VERSION_HEADER
from mcp_gateway.protocol.status import http_status
from mcp_gateway.protocol.versions import STATELESS_REVISIONS, Era

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

_ERAS: dict[bytes | None, Era] = {r.encode(): Era.STATELESS for r in STATELESS_REVISIONS}

CANCELLED = "notifications/cancelled"


def receive_http(headers: Headers, body: bytes) -> Event:
    """Read the headers and the body of a POST to the MCP endpoint. Never raises."""
    agreed = terms(headers.get(b"content-type", b""), headers.get(b"accept", b"*/*"))
    if agreed.problem:
        return Rejected(InvalidMessage(agreed.problem), status=agreed.status)
    message = jsonrpc.decode(body)
    stated = headers.get(VERSION_HEADER)
    era = _ERAS.get(stated, Era.HANDSHAKE)
    if not isinstance(message, Request):
        return _unanswered(message, era, stated)
    try:
        params = read(message.method, bytes(message.params))
        if era is Era.STATELESS or params.meta.version is not UNSET:
            era = Era.STATELESS
            return stateless.over_http(message, params, headers, wants_sse=agreed.wants_sse)
        return handshake.over_http(message, params, stated, wants_sse=agreed.wants_sse)
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
        params = read(message.method, bytes(message.params))
        if params.meta.version is not UNSET:
            return stateless.over_frame(message, params)
        return handshake.over_frame(message, params, session)
    except ProtocolError as error:
        return Rejected(error, message.id)


class _NotificationMeta(Struct, frozen=True, rename={"version": VERSION_KEY}):
    version: str | UnsetType = UNSET


class _NotificationParams(Struct, rename={"request_id": "requestId", "meta": "_meta"}):
    request_id: Id | None = None
    meta: _NotificationMeta = _NotificationMeta()


_notification_params = msgspec.json.Decoder(_NotificationParams).decode


def _unanswered(
    message: Notification | Reply | Rejected, era: Era, stated: bytes | None
) -> Notified | Replied | Rejected:
    """Take in an HTTP message that is owed no JSON-RPC answer."""
    if isinstance(message, Rejected):
        return message
    if era is Era.HANDSHAKE:
        try:
            handshake.revision_of(stated)
        except ProtocolError as error:
            return Rejected(error)
    if isinstance(message, Reply):
        if era is Era.HANDSHAKE:
            return Replied(id=message.id, type=message.type)
        # MCP 2026-07-28 §transports: the body is a request or a notification, never a response.
        return Rejected(InvalidMessage("a response cannot be posted: send a request"))
    notified = _notified(message, era)
    if notified.era is Era.STATELESS:
        return Notified(method=notified.method, era=notified.era)
    return notified


def _unanswered_frame(message: Notification | Reply | Rejected) -> Notified | Replied | Rejected:
    if isinstance(message, Rejected):
        return message
    if isinstance(message, Reply):
        return Replied(id=message.id, type=message.type)
    return _notified(message, Era.HANDSHAKE)


def _notified(message: Notification, era: Era) -> Notified:
    """Read the little that a notification can say here; a malformed one says nothing.

    MCP 2025-11-25 §cancellation: invalid cancellations are to be ignored.
    """
    # It is only looked at by people, in logs and records: a longer name would fill them.
    method = message.method[:MAX_TOOL_NAME]
    try:
        params = _notification_params(message.params)
    except msgspec.ValidationError:
        return Notified(method=method, era=era)
    if params.meta.version is not UNSET:
        era = Era.STATELESS
    known = params.request_id
    if message.method != CANCELLED or known is None or not in_bounds(known):
        known = None
    return Notified(method=method, era=era, cancels=known)
