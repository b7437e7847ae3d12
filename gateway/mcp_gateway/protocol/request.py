"""What the requests of both eras have in common: from checked parameters to a `Call`."""

from __future__ import annotations

from msgspec import UNSET, Raw

from mcp_gateway.errors import UnknownMethod
from mcp_gateway.protocol.event import Call
from mcp_gateway.protocol.jsonrpc import EMPTY, Request
from mcp_gateway.protocol.params import MAX_TOOL_NAME, Params, invalid
from mcp_gateway.protocol.versions import Era, Revision

_NO_CONTEXT = ("", "")


def build_call(
    request: Request,
    params: Params,
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
        tool = _tool_name(params)
        arguments = params.arguments_object()
    elif method == "tools/list" and params.cursor is not UNSET and params.cursor is not None:
        # MCP 2025-11-25 §pagination: an invalid cursor is -32602. None was ever handed out.
        raise invalid("`cursor` is not one of this server's: its list has one page")
    meta = params.meta
    parent, state = _NO_CONTEXT if meta.traceparent is UNSET else meta.trace_context()
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


def _tool_name(params: Params) -> str:
    name = params.name
    if name is UNSET or not 0 < len(name) <= MAX_TOOL_NAME:
        raise invalid(f"`name` must be a tool's name, of 1 to {MAX_TOOL_NAME} characters")
    return name


def unknown_method(method: str, **details: object) -> UnknownMethod:
    """Return the error for a method that is not served in the message's era.

    The answer repeats the name only as far as a method's name could reach.
    """
    shown = method if len(method) <= MAX_TOOL_NAME else method[:MAX_TOOL_NAME] + "..."
    return UnknownMethod(f"method not found: {shown}", details=details)
