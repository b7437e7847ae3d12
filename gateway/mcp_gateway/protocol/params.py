"""The parameters of a request, and the `_meta` that every request may carry.

Only what means something here is decoded; what is passed on stays encoded.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from mcp_gateway.errors import INVALID_PARAMS, InvalidMessage
from mcp_gateway.protocol.jsonrpc import (
    EMPTY,
    MAX_ID_LENGTH,
    Id,
    colons_outside,
    in_bounds,
    repeats_member,
)
from mcp_gateway.protocol.trace_context import is_traceparent, tracestate_of

MAX_TOOL_NAME = 128
"""Characters of a tool's name. MCP 2025-11-25 §tools, "Tool Names"."""

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
CLIENT_INFO_KEY = "io.modelcontextprotocol/clientInfo"
LOG_LEVEL_KEY = "io.modelcontextprotocol/logLevel"

LOG_LEVELS = frozenset(
    {"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
)


class Meta(
    Struct,
    frozen=True,
    rename={
        "version": VERSION_KEY,
        "capabilities": CAPABILITIES_KEY,
        "client_info": CLIENT_INFO_KEY,
        "log_level": LOG_LEVEL_KEY,
        "progress_token": "progressToken",
    },
):
    """The members of `_meta` that mean something here. UNSET is absent."""

    version: str | UnsetType = UNSET
    capabilities: dict[str, Raw] | UnsetType = UNSET
    client_info: Raw | UnsetType = UNSET
    log_level: str | UnsetType = UNSET
    progress_token: Id | UnsetType = UNSET
    traceparent: str | UnsetType = UNSET
    tracestate: str | UnsetType = UNSET

    def trace_context(self) -> tuple[str, str]:
        """Return `traceparent` and `tracestate`; empty strings where absent or malformed.

        A `tracestate` means nothing without its `traceparent` (W3C Trace Context §4.3).
        """
        parent, state = self.traceparent, self.tracestate
        if parent is UNSET or not is_traceparent(parent):
            return "", ""
        return parent, "" if state is UNSET else tracestate_of(state)


NO_META = Meta()


class Params(
    Struct,
    frozen=True,
    rename={
        "meta": "_meta",
        "client_info": "clientInfo",
        "protocol_version": "protocolVersion",
    },
):
    """The members of `params` that mean something to some method. UNSET is absent."""

    meta: Meta = NO_META
    name: str | UnsetType = UNSET
    arguments: Raw | UnsetType = UNSET
    cursor: str | UnsetType | None = UNSET
    protocol_version: str | UnsetType = UNSET
    client_info: Raw | UnsetType = UNSET

    def arguments_object(self) -> Raw:
        """Return the arguments; an empty object where they are absent or null.

        Raises:
            InvalidMessage: they are something else.
        """
        raw = self.arguments
        if raw is UNSET:
            return EMPTY
        first = bytes(raw)[:1]
        if first == b"{":
            return raw
        if first == b"n":
            return EMPTY
        raise invalid("`arguments` must be an object")


class _MetaOnly(Struct, frozen=True, rename={"meta": "_meta"}):
    meta: Meta = NO_META


_params = msgspec.json.Decoder(Params).decode
_meta_only = msgspec.json.Decoder(_MetaOnly).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode

_WITH_PARAMETERS = frozenset({"initialize", "tools/list", "tools/call"})


def invalid(text: str) -> InvalidMessage:
    """Return the error for wrong parameters (-32602)."""
    return InvalidMessage(text, code=INVALID_PARAMS)


def read(method: str, raw: bytes) -> Params:
    """Decode a `params` object.

    Only `_meta` is read for a method that has no parameters here, or is not known.

    Raises:
        InvalidMessage: a member is of the wrong type, or its name is repeated (-32602).
    """
    try:
        known = method in _WITH_PARAMETERS
        params = _params(raw) if known else Params(_meta_only(raw).meta)
    except msgspec.ValidationError as error:
        raise invalid(f"wrong parameters: {error}") from error
    if _colons(raw, params) != _expected_colons(params) and _repeats(raw):
        raise invalid("a member name of `params` or `_meta` is repeated")
    token = params.meta.progress_token
    if token is not UNSET and not in_bounds(token):
        raise invalid(f"a progress token has at most {MAX_ID_LENGTH} characters, or 64 bits")
    return params


def _colons(raw: bytes, params: Params) -> int:
    if params.arguments is UNSET:
        return raw.count(b":")
    return colons_outside(raw, bytes(params.arguments))


def _expected_colons(params: Params) -> int:
    """Count the colons that `params` without `arguments` has when it is the usual `tools/call`.

    One for each member that was read, here and in `_meta`, and those inside the client's name.
    Anything unusual (an unknown member, capabilities) shows more, and so does a repetition; then
    the exact test decides.
    """
    meta = params.meta
    colons = (
        (params.name is not UNSET)
        + (params.arguments is not UNSET)
        + (meta is not NO_META)
        + (meta.version is not UNSET)
        + (meta.capabilities is not UNSET)
        + (meta.progress_token is not UNSET)
        + (meta.traceparent is not UNSET)
    )
    if meta.client_info is not UNSET:
        return colons + 1 + bytes(meta.client_info).count(b":")
    return colons


def _repeats(raw: bytes) -> bool:
    members = _members(raw)
    if repeats_member(raw, members):
        return True
    meta = members.get("_meta")
    return meta is not None and repeats_member(bytes(meta))
