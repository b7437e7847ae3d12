"""What the requests of both eras have in common: from checked parameters to a `Call`."""

from __future__ import annotations

from msgspec import UNSET, Raw

from mcp_gateway.errors import UnknownMethod
from mcp_gateway.protocol.event import Call
from mcp_gateway.protocol.jsonrpc import EMPTY, Request
from mcp_gateway.protocol.params import (
    MAX_TOOL_NAME,
    Parameters,
    invalid,
    trace_context,
)
from mcp_gateway.protocol.versions import Era, Revision

_NULL = b"null"


def build_call(
    request: Request,
    parameters: Parameters,
    era: Era,
    version: Revision,
    *,
    client_info: Raw | None,
    wants_sse: bool,
    log_level: str = "",
) -> Call:
    """Check the parameters of a served method and return the call.

    Raises:
        InvalidMessage: a parameter is missing or not of its form (-32602).
    """
    method = request.method
    tool, arguments = "", EMPTY
    if method == "tools/call":
        tool = parameters.text("name")
        if not 0 < len(tool) <= MAX_TOOL_NAME:
            raise invalid(f"`name` is a tool's name of 1 to {MAX_TOOL_NAME} characters")
        arguments = parameters.object("arguments")
    elif method == "tools/list":
        _refuse_cursor(parameters)
    meta = parameters.meta
    parent, state = trace_context(meta)
    return Call(
        id=request.id,
        method=method,
        era=era,
        version=version,
        params=request.params,
        tool=tool,
        arguments=arguments,
        progress_token=None if meta.progress_token is UNSET else meta.progress_token,
        wants_sse=wants_sse,
        client_info=client_info,
        log_level=log_level,
        meta_traceparent=parent,
        meta_tracestate=state,
    )


def _refuse_cursor(parameters: Parameters) -> None:
    """Refuse every cursor: the list is sent whole, so none was ever handed out here.

    MCP 2025-11-25 §pagination: an invalid cursor is answered with -32602. Null reads as absent.
    """
    cursor = parameters.members.get("cursor")
    if cursor is not None and bytes(cursor) != _NULL:
        raise invalid("`cursor` is not one that this server handed out: its list has one page")


def unknown_method(method: str, **details: object) -> UnknownMethod:
    """Return the error for a method that is not served in the message's era.

    The name is repeated in the answer only as far as it could be a method's name.
    """
    shown = method if len(method) <= MAX_TOOL_NAME else method[:MAX_TOOL_NAME] + "..."
    return UnknownMethod(f"method not found: {shown}", details=details)
