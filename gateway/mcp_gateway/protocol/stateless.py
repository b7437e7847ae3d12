"""Requests of the stateless era: 2026-07-28. Each one says all there is to know about itself."""

from __future__ import annotations

from msgspec import UNSET

from mcp_gateway.errors import HeaderMismatch, UnsupportedProtocolVersion
from mcp_gateway.protocol.event import Call
from mcp_gateway.protocol.headers import Headers, decode_value
from mcp_gateway.protocol.jsonrpc import Request
from mcp_gateway.protocol.params import (
    CAPABILITIES_KEY,
    LOG_LEVEL_KEY,
    LOG_LEVELS,
    VERSION_KEY,
    Meta,
    Params,
    invalid,
)
from mcp_gateway.protocol.request import build_call, unknown_method
from mcp_gateway.protocol.versions import (
    STATELESS_REVISIONS,
    Era,
    every_revision,
    stateless_revision,
)

METHODS = frozenset({"server/discover", "tools/list", "tools/call"})
"""What is served. There is no `subscriptions/listen`: no list here announces its changes."""

VERSION_HEADER = b"mcp-protocol-version"
METHOD_HEADER = b"mcp-method"
NAME_HEADER = b"mcp-name"
_LONGEST_SHOWN = 32
_ROUTING_HEADERS = (VERSION_HEADER, METHOD_HEADER, NAME_HEADER)


def over_http(request: Request, params: Params, headers: Headers, *, wants_sse: bool) -> Call:
    """Return the call of an HTTP request, in the reference's order of checks.

    Raises:
        HeaderMismatch: a routing header is missing, repeated, or says another thing than the
            body.
        InvalidMessage: `_meta` lacks a required key, or a parameter is wrong (-32602).
        UnsupportedProtocolVersion: the revision is not served.
        UnknownMethod: the method is not served.
    """
    if headers.repeated:
        _refuse_repeated(headers)
    version = _required(params.meta)
    if headers.get(VERSION_HEADER) != version.encode():
        raise _mismatch(headers, VERSION_HEADER)
    if headers.get(METHOD_HEADER) != request.method.encode():
        raise _mismatch(headers, METHOD_HEADER)
    if request.method == "tools/call" and params.name is not UNSET:
        value = headers.get(NAME_HEADER)
        if value is None or decode_value(value) != params.name:
            raise _mismatch(headers, NAME_HEADER)
    return _call(request, params, version, wants_sse=wants_sse)


def over_frame(request: Request, params: Params) -> Call:
    """Return the call of a WebSocket message. Only the body speaks: a frame has no headers.

    Raises:
        InvalidMessage: `_meta` lacks a required key, or a parameter is wrong (-32602).
        UnsupportedProtocolVersion: the revision is not served.
        UnknownMethod: the method is not served.
    """
    return _call(request, params, _required(params.meta), wants_sse=False)


def _required(meta: Meta) -> str:
    """Return the stated version of a `_meta` that has both of its required keys."""
    if meta.version is UNSET:
        raise invalid(f"`_meta` lacks {VERSION_KEY}")
    if meta.capabilities is UNSET:
        raise invalid(f"`_meta` lacks {CAPABILITIES_KEY}")
    return meta.version


def _refuse_repeated(headers: Headers) -> None:
    for name in _ROUTING_HEADERS:
        if headers.count(name) > 1:
            # Two readers that take the first and the last would disagree.
            raise HeaderMismatch(f"the header {_shown(name)} is repeated")


def _mismatch(headers: Headers, name: bytes) -> HeaderMismatch:
    if name not in headers:
        return HeaderMismatch(f"the header {_shown(name)} is missing")
    return HeaderMismatch(f"the header {_shown(name)} says another thing than the body")


def _shown(name: bytes) -> str:
    return name.decode("ascii").title().replace("Mcp-Protocol", "MCP-Protocol")


def _call(request: Request, params: Params, version: str, *, wants_sse: bool) -> Call:
    revision = stateless_revision(version)
    if revision is None:
        details = {
            "supported": [str(r) for r in STATELESS_REVISIONS],
            "requested": version[:_LONGEST_SHOWN],
        }
        raise UnsupportedProtocolVersion("unsupported protocol version", details=details)
    if request.method not in METHODS:
        if request.method == "initialize":
            # MCP 2026-07-28 §versioning: a server that has no handshake here names what it has.
            raise unknown_method(request.method, supported=every_revision())
        raise unknown_method(request.method)
    meta = params.meta
    level = "" if meta.log_level is UNSET else meta.log_level
    if level and level not in LOG_LEVELS:
        raise invalid(f"{LOG_LEVEL_KEY} is one of {', '.join(sorted(LOG_LEVELS))}")
    return build_call(
        request,
        params,
        Era.STATELESS,
        revision,
        client_info=None if meta.client_info is UNSET else meta.client_info,
        wants_sse=wants_sse,
        log_level=level,
    )
