"""Requests of the handshake era: 2024-11-05 to 2025-11-25."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UNSET, Raw

from mcp_gateway.errors import INVALID_REQUEST, InvalidMessage, UnsupportedProtocolVersion
from mcp_gateway.protocol.event import Call
from mcp_gateway.protocol.jsonrpc import Request
from mcp_gateway.protocol.params import Params, invalid
from mcp_gateway.protocol.request import build_call, unknown_method
from mcp_gateway.protocol.versions import (
    ASSUMED_REVISION,
    Era,
    Revision,
    every_revision,
    handshake_revision,
    negotiate,
)

METHODS = frozenset({"initialize", "ping", "tools/list", "tools/call"})
"""What is served. Logging, resources, prompts and tasks are not among the capabilities."""


@dataclass(slots=True)
class Session:
    """What a WebSocket connection remembers of its handshake. Over HTTP there is none.

    Attributes:
        version: the negotiated revision; None before `initialize`.
        client_info: the client's `Implementation` object, where it gave one.
    """

    version: Revision | None = None
    client_info: Raw | None = None


_LONGEST_SHOWN = 32
_BEFORE_INITIALIZE = frozenset({"initialize", "ping"})


def over_http(request: Request, params: Params, header: bytes | None, *, wants_sse: bool) -> Call:
    """Return the call of an HTTP request. Nothing is remembered between requests.

    Args:
        request: the message.
        params: its parameters.
        header: `MCP-Protocol-Version`, None where it is absent.
        wants_sse: the client takes an event stream.

    Raises:
        UnsupportedProtocolVersion: the header names an unknown revision
            (MCP 2025-11-25 §transports: 400).
        UnknownMethod: the method is not served.
        InvalidMessage: a parameter is wrong (-32602).
    """
    version = revision_of(header)
    return _call(request, params, version, None, wants_sse=wants_sse)


def over_frame(request: Request, params: Params, session: Session) -> Call:
    """Return the call of a WebSocket message; `initialize` sets the session's revision.

    Raises:
        InvalidMessage: the connection has not been initialized (-32600), or a parameter is
            wrong (-32602).
        UnknownMethod: the method is not served.
    """
    version = session.version
    if version is None and request.method not in _BEFORE_INITIALIZE:
        text = "send `initialize` first, or carry `_meta` with a protocol version"
        raise InvalidMessage(text, code=INVALID_REQUEST)
    call = _call(request, params, version or ASSUMED_REVISION, session.client_info, wants_sse=False)
    if request.method == "initialize":
        session.version = call.version
        session.client_info = call.client_info
    return call


def revision_of(header: bytes | None) -> Revision:
    """Return the revision that an HTTP message's version header stands for.

    Raises:
        UnsupportedProtocolVersion: it names none of this era.
    """
    if header is None:
        return ASSUMED_REVISION
    stated = header.decode("latin-1")
    version = handshake_revision(stated)
    if version is None:
        details = {"supported": every_revision(), "requested": stated[:_LONGEST_SHOWN]}
        raise UnsupportedProtocolVersion("unsupported MCP-Protocol-Version", details=details)
    return version


def _call(
    request: Request,
    params: Params,
    version: Revision,
    client_info: Raw | None,
    *,
    wants_sse: bool,
) -> Call:
    if request.method not in METHODS:
        raise unknown_method(request.method)
    if request.method == "initialize":
        if params.protocol_version is UNSET:
            raise invalid("`protocolVersion` is missing")
        version = negotiate(params.protocol_version)
        client_info = None if params.client_info is UNSET else params.client_info
    return build_call(
        request,
        params,
        Era.HANDSHAKE,
        version,
        client_info=client_info,
        wants_sse=wants_sse,
    )
