"""The requests of the benchmark, byte for byte, built once before anything is measured."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

REVISION = "2026-07-28"
MODEL = "kimi-k2.5"
TOOL = "chat"
QUESTION = "Say in three sentences what a connection pool is for, and when it does harm."
IDS = 100
MESSAGES = [
    {"role": "system", "content": "You answer briefly."},
    {"role": "user", "content": QUESTION},
]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the requests of one row go.

    Attributes:
        host, port: the listener.
        path: of the endpoint.
        key: bearer token, or empty.
    """

    host: str
    port: int
    path: str
    key: str = ""

    @property
    def authorization(self) -> str:
        """The header line with the key, or nothing."""
        return f"Authorization: Bearer {self.key}\r\n" if self.key else ""


def _post(target: Target, headers: str, body: bytes) -> bytes:
    head = (
        f"POST {target.path} HTTP/1.1\r\n"
        f"Host: {target.host}:{target.port}\r\n"
        f"{target.authorization}"
        "Content-Type: application/json\r\n"
        "User-Agent: mcp-gateway-bench\r\n"
        f"{headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def openai(target: Target, *, stream: bool = False) -> list[bytes]:
    """A chat completion in the OpenAI form."""
    fields: dict[str, object] = {"model": MODEL, "messages": MESSAGES}
    if stream:
        fields["stream"] = True
    return [_post(target, "Accept: */*\r\n", json.dumps(fields).encode())]


def _tool_call(number: int, *, stream: bool) -> bytes:
    meta: dict[str, object] = {
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    }
    if stream:
        meta["progressToken"] = number
    params = {"name": TOOL, "arguments": {"model": MODEL, "messages": MESSAGES}, "_meta": meta}
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    return json.dumps(message).encode()


def mcp_http(target: Target, *, stream: bool = False) -> list[bytes]:
    """A tools/call over Streamable HTTP."""
    headers = (
        "Accept: application/json, text/event-stream\r\n"
        f"MCP-Protocol-Version: {REVISION}\r\n"
        "Mcp-Method: tools/call\r\n"
        f"Mcp-Name: {TOOL}\r\n"
    )
    return [_post(target, headers, _tool_call(1, stream=stream))]


def frame(payload: bytes, opcode: int = 0x1) -> bytes:
    """A client's WebSocket frame. Its mask is zero, which RFC 6455 allows, so nothing is masked."""
    mask = b"\0\0\0\0"
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x80 | opcode, 0x80 | size) + mask + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size) + mask + payload
    return struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size) + mask + payload


def mcp_websocket(*, stream: bool = False) -> list[bytes]:
    """A tools/call in one WebSocket text frame; the ids differ for a while."""
    return [frame(_tool_call(number, stream=stream)) for number in range(1, IDS + 1)]


def upgrade(target: Target) -> bytes:
    """The request that opens a WebSocket."""
    return (
        f"GET {target.path} HTTP/1.1\r\n"
        f"Host: {target.host}:{target.port}\r\n"
        f"{target.authorization}"
        "Connection: Upgrade\r\n"
        "Upgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: mcp\r\n\r\n"
    ).encode()
