"""Requests as MCP clients send them, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import EllipsisType
from typing import Any

from mcp_gateway.protocol.headers import Headers

PREFIX = "io.modelcontextprotocol/"

META: dict[str, Any] = {
    f"{PREFIX}protocolVersion": "2026-07-28",
    f"{PREFIX}clientCapabilities": {},
}


def message(method: str | EllipsisType, params: Any = None, **members: Any) -> bytes:
    """Return a compact JSON-RPC message with id 1; a member given as `...` is left out."""
    fields = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **members}
    if params is None:
        del fields["params"]
    present = {name: value for name, value in fields.items() if value is not ...}
    return json.dumps(present, separators=(",", ":")).encode()


def stateless(method: str, params: Mapping[str, Any] | None = None, **meta: Any) -> bytes:
    """Return a request of revision 2026-07-28. A key of `_meta` given as `...` is left out.

    The two required keys are given as `protocolVersion` and `clientCapabilities`, as are the
    other ones that carry MCP's prefix.
    """
    keys = META | {key if key in _BARE else PREFIX + key: value for key, value in meta.items()}
    present = {key: value for key, value in keys.items() if value is not ...}
    return message(method, {**(params or {}), "_meta": present})


_BARE = {"progressToken", "traceparent", "tracestate", "baggage"}


def http_headers(*more: tuple[bytes, bytes]) -> Headers:
    """Return the headers that every MCP client sends, and `more`."""
    return Headers(
        [
            (b"content-type", b"application/json"),
            (b"accept", b"application/json, text/event-stream"),
            *more,
        ]
    )


def stateless_headers(method: str, name: str | None = None, version: str = "2026-07-28") -> Headers:
    """Return the headers of a request of revision 2026-07-28."""
    more = [(b"mcp-protocol-version", version.encode()), (b"mcp-method", method.encode())]
    if name is not None:
        more.append((b"mcp-name", name.encode()))
    return http_headers(*more)
