"""The parameters of a request, and the `_meta` that every request may carry.

Only what means something here is decoded; what is passed on stays encoded. Functions raise
`InvalidMessage` (-32602), which `inbound` turns into a rejection.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from mcp_gateway.errors import INVALID_PARAMS, InvalidMessage
from mcp_gateway.protocol.jsonrpc import EMPTY, MAX_ID_LENGTH, Id, repeats_member, valid_id

MAX_TOOL_NAME = 128
"""Characters of a tool's name. MCP 2025-11-25 §tools, "Tool Names"."""

MAX_TRACESTATE = 512
"""Characters of a `tracestate` that is passed on (W3C Trace Context §3.3.1.5)."""

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
CLIENT_INFO_KEY = "io.modelcontextprotocol/clientInfo"
LOG_LEVEL_KEY = "io.modelcontextprotocol/logLevel"

LOG_LEVELS = frozenset(
    {"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
)

# W3C Trace Context §3.2: version ff and ids of zeros alone are invalid.
_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
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
    capabilities: Raw | UnsetType = UNSET
    client_info: Raw | UnsetType = UNSET
    log_level: str | UnsetType = UNSET
    progress_token: Id | UnsetType = UNSET
    traceparent: str | UnsetType = UNSET
    tracestate: str | UnsetType = UNSET


class Parameters(Struct, frozen=True):
    """Parameters, one level decoded: their members, and `_meta`. No name repeats in either."""

    members: dict[str, Raw]
    meta: Meta

    def text(self, name: str) -> str:
        """Return a required member that is a string.

        Raises:
            InvalidMessage: it is absent or of another type.
        """
        raw = self.members.get(name)
        if raw is None:
            raise invalid(f"`{name}` is missing")
        try:
            return _text(raw)
        except msgspec.ValidationError as error:
            raise invalid(f"`{name}` must be a string") from error

    def object(self, name: str) -> Raw:
        """Return an optional member that is an object; an empty one for absent or null.

        Raises:
            InvalidMessage: it is of another type.
        """
        raw = self.members.get(name)
        if raw is None:
            return EMPTY
        first = bytes(raw)[:1]
        if first == b"{":
            return raw
        if first == b"n":
            return EMPTY
        raise invalid(f"`{name}` must be an object")


NO_META = Meta()

_members = msgspec.json.Decoder(dict[str, Raw]).decode
_meta = msgspec.json.Decoder(Meta).decode
_text = msgspec.json.Decoder(str).decode


def invalid(text: str) -> InvalidMessage:
    """Return the error for wrong parameters."""
    return InvalidMessage(text, code=INVALID_PARAMS)


def read(params: Raw) -> Parameters:
    """Decode one level of a `params` object, and its `_meta`.

    Raises:
        InvalidMessage: a member name repeats, or `_meta` holds a value of the wrong type.
    """
    members = _members(params)
    if repeats_member(params, members):
        raise invalid("a member name of `params` is repeated")
    raw = members.get("_meta")
    if raw is None:
        return Parameters(members, NO_META)
    try:
        meta = _meta(raw)
    except msgspec.ValidationError as error:
        raise invalid(f"`_meta` is not of the stated form: {error}") from error
    if repeats_member(raw):
        raise invalid("a member name of `_meta` is repeated")
    if isinstance(meta.progress_token, Id) and not valid_id(meta.progress_token):
        raise invalid(f"a progress token has at most {MAX_ID_LENGTH} characters, or 64 bits")
    return Parameters(members, meta)


def trace_context(meta: Meta) -> tuple[str, str]:
    """Return `traceparent` and `tracestate`; empty strings where absent or malformed.

    A `tracestate` means nothing without its `traceparent` (W3C Trace Context §4.3).
    """
    parent = meta.traceparent
    if parent is UNSET or not _TRACEPARENT.fullmatch(parent):
        return "", ""
    state = meta.tracestate
    return parent, "" if state is UNSET or len(state) > MAX_TRACESTATE else state
