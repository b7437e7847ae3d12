"""The little of MCP a client of the gateway speaks: revision 2026-07-28, `tools/call` only.

Every request carries its own `_meta`, so nothing is negotiated and any connection, to any pod,
can carry any request. No I/O here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec

from mcp_gateway import __version__
from mcp_gateway.client.failure import from_rpc
from mcp_gateway.errors import GatewayError, InvalidArguments, RemoteProtocolError

PROTOCOL_VERSION = "2026-07-28"

_PREFIX = "io.modelcontextprotocol/"
_META: Mapping[str, object] = {
    f"{_PREFIX}protocolVersion": PROTOCOL_VERSION,
    f"{_PREFIX}clientCapabilities": {},
    f"{_PREFIX}clientInfo": {"name": "mcp-gateway-python", "version": __version__},
}

# MCP 2026-07-28 §transports, header value encoding: visible ASCII goes as it is.
_PLAIN = re.compile(r"[\x21-\x7e]+(?:[ \t]+[\x21-\x7e]+)*")
_BASE64_MARK = "=?base64?"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One `tools/call` to make.

    Attributes:
        id: JSON-RPC id, unique among this client's requests in flight.
        tool: the tool's name.
        arguments: its arguments, JSON-ready.
        stream: ask for progress; its token is then `id`.
        timeout: seconds the gateway may take, for its `X-Request-Timeout`; None says nothing.
    """

    id: int
    tool: str
    arguments: Mapping[str, Any]
    stream: bool = False
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """A `notifications/progress`: a piece of a streamed answer.

    Attributes:
        token: the progress token, which is the id of the call.
        message: the text it adds to the answer.
        reasoning: the text it adds to the reasoning.
    """

    token: int
    message: str
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """The last message of a call: the `CallToolResult`, or the JSON-RPC error in its place.

    Attributes:
        id: the call's id; None where the gateway could not tell whose message it refused.
        value: the result's fields; empty where there is an error.
        error: the typed error; None where there is a result.
    """

    id: int | None
    value: Mapping[str, Any]
    error: GatewayError | None = None


class _RPCError(msgspec.Struct):
    code: int
    message: str
    data: Any = None


class _ProgressMeta(msgspec.Struct):
    reasoning: str = msgspec.field(default="", name="gateway.exai.dev/reasoning")


class _ProgressParams(msgspec.Struct, rename="camel"):
    progress_token: Any = None
    message: str = ""
    meta: _ProgressMeta = msgspec.field(default_factory=_ProgressMeta, name="_meta")


class _Message(msgspec.Struct):
    id: int | str | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw()
    result: dict[str, Any] | None = None
    error: _RPCError | None = None


_MESSAGE = msgspec.json.Decoder(_Message)
_PROGRESS = msgspec.json.Decoder(_ProgressParams)


def encode_call(call: ToolCall) -> bytes:
    """Return the call as one JSON-RPC message.

    Raises:
        InvalidArguments: the arguments hold something that JSON has no form for.
    """
    meta = {**_META, "progressToken": call.id} if call.stream else _META
    message = {
        "jsonrpc": "2.0",
        "id": call.id,
        "method": "tools/call",
        "params": {"name": call.tool, "arguments": call.arguments, "_meta": meta},
    }
    try:
        return msgspec.json.encode(message)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise InvalidArguments(f"the request cannot be written as JSON: {exc}") from exc


def encode_cancelled(call_id: int, reason: str) -> bytes:
    """Return the notification that nobody waits for the call `call_id` any more."""
    params = {"requestId": call_id, "reason": reason, "_meta": _META}
    return msgspec.json.encode(
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
    )


def http_headers(call: ToolCall) -> dict[str, str]:
    """Return the headers that MCP 2026-07-28 §transports asks for on this call's POST."""
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": PROTOCOL_VERSION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": _header_value(call.tool),
    }
    if call.timeout is not None:
        headers["X-Request-Timeout"] = f"{call.timeout:.3f}"
    return headers


def _header_value(text: str) -> str:
    if _PLAIN.fullmatch(text) and not text.startswith(_BASE64_MARK):
        return text
    return f"{_BASE64_MARK}{base64.b64encode(text.encode()).decode()}?="


def decode(data: str | bytes) -> Progress | Result | None:
    """Read one message of the gateway; None for one that a caller has no use for.

    Raises:
        RemoteProtocolError: it is not JSON-RPC.
    """
    try:
        message = _MESSAGE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RemoteProtocolError(f"the gateway's message is not JSON-RPC: {exc}") from exc
    if message.method:
        return _progress(message)
    call_id = message.id if isinstance(message.id, int) else None
    if message.error is not None:
        error = message.error
        return Result(call_id, {}, from_rpc(error.code, error.message, error.data))
    if message.result is None or call_id is None:
        _refuse("neither a request nor an answer to one of ours")
    return Result(call_id, message.result)


def _progress(message: _Message) -> Progress | None:
    if message.method != "notifications/progress":
        return None
    try:
        params = _PROGRESS.decode(message.params)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise RemoteProtocolError(f"the gateway's progress cannot be read: {exc}") from exc
    if not isinstance(params.progress_token, int):
        return None  # not one of ours: our tokens are our ids
    return Progress(params.progress_token, params.message, params.meta.reasoning)


def _refuse(what: str) -> NoReturn:
    raise RemoteProtocolError(f"the gateway's message is {what}")
