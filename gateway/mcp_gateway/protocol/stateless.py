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
    Parameters,
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
_ROUTING_HEADERS = (VERSION_HEADER, METHOD_HEADER, NAME_HEADER)


def over_http(
    request: Request, parameters: Parameters, headers: Headers, *, wants_sse: bool
) -> Call:
    """Return the call of an HTTP request, in the reference's order of checks.

    Raises:
        HeaderMismatch: a routing header is missing, repeated, or says another thing than the
            body.
        InvalidMessage: `_meta` lacks a required key, or a parameter is wrong (-32602).
        UnsupportedProtocolVersion: the revision is not served.
        UnknownMethod: the method is not served.
    """
    for name in _ROUTING_HEADERS:
        if headers.count(name) > 1:
            raise HeaderMismatch(f"the header {_shown(name)} is repeated")
    version = _required(parameters.meta)
    _compare(VERSION_HEADER, headers, version)
    _compare(METHOD_HEADER, headers, request.method)
    if request.method == "tools/call" and "name" in parameters.members:
        _compare_name(headers, parameters.text("name"))
    return _call(request, parameters, version, wants_sse=wants_sse)


def over_frame(request: Request, parameters: Parameters) -> Call:
    """Return the call of a WebSocket message. Only the body speaks: a frame has no headers.

    Raises:
        InvalidMessage: `_meta` lacks a required key, or a parameter is wrong (-32602).
        UnsupportedProtocolVersion: the revision is not served.
        UnknownMethod: the method is not served.
    """
    return _call(request, parameters, _required(parameters.meta), wants_sse=False)


def _required(meta: Meta) -> str:
    """Return the stated version of a `_meta` that has both of its required keys."""
    if meta.version is UNSET:
        raise invalid(f"`_meta` lacks {VERSION_KEY}")
    if meta.capabilities is UNSET:
        raise invalid(f"`_meta` lacks {CAPABILITIES_KEY}")
    if bytes(meta.capabilities)[:1] != b"{":
        raise invalid(f"{CAPABILITIES_KEY} must be an object")
    return meta.version


def _compare(name: bytes, headers: Headers, expected: str) -> None:
    value = headers.get(name)
    if value is None:
        raise HeaderMismatch(f"the header {_shown(name)} is missing")
    if value != expected.encode():
        raise HeaderMismatch(f"the header {_shown(name)} says another thing than the body")


def _compare_name(headers: Headers, expected: str) -> None:
    value = headers.get(NAME_HEADER)
    if value is None:
        raise HeaderMismatch("the header Mcp-Name is missing")
    if decode_value(value) != expected:
        raise HeaderMismatch("the header Mcp-Name is malformed or says another thing than the body")


def _shown(name: bytes) -> str:
    return name.decode("ascii").title().replace("Mcp-Protocol", "MCP-Protocol")


def _call(request: Request, parameters: Parameters, version: str, *, wants_sse: bool) -> Call:
    revision = stateless_revision(version)
    if revision is None:
        details = {"supported": [str(r) for r in STATELESS_REVISIONS], "requested": version}
        raise UnsupportedProtocolVersion("unsupported protocol version", details=details)
    if request.method not in METHODS:
        if request.method == "initialize":
            # MCP 2026-07-28 §versioning: a server that has no handshake here names what it has.
            raise unknown_method(request.method, supported=every_revision())
        raise unknown_method(request.method)
    meta = parameters.meta
    level = "" if meta.log_level is UNSET else meta.log_level
    if level and level not in LOG_LEVELS:
        raise invalid(f"{LOG_LEVEL_KEY} is one of {', '.join(sorted(LOG_LEVELS))}")
    return build_call(
        request,
        parameters,
        Era.STATELESS,
        revision,
        client_info=None if meta.client_info is UNSET else meta.client_info,
        wants_sse=wants_sse,
        log_level=level,
    )
