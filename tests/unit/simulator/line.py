"""A client at the network border: a transport that keeps what the simulator writes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httptools

from mcp_gateway.simulator import Simulator
from mcp_gateway.simulator.connection import Connection, Service

KEY = "sk-1"


class KeepingTransport(asyncio.Transport):
    """Keeps what is written; can be told to be slow, and to hang up."""

    def __init__(self, connection: Connection, peer: str = "127.0.0.1") -> None:
        super().__init__()
        self.written = b""
        self.writes: list[tuple[float, bytes]] = []
        self.closed = False
        self.aborted = False
        self.reading = True
        self._connection = connection
        self._peer = peer
        self._loop = asyncio.get_running_loop()

    def write(self, data: Any) -> None:
        assert not self.closed, "nothing is written to a closed transport"
        self.written += bytes(data)
        self.writes.append((self._loop.time(), bytes(data)))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self._peer, 12345) if name == "peername" else default

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._loop.call_soon(self._connection.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()


@dataclass
class Reply:
    """One parsed response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """The events of a stream, decoded; the end marker as text."""
        data = [line.removeprefix(b"data: ") for line in self.body.split(b"\n\n") if line]
        return [part.decode() if part == b"[DONE]" else json.loads(part) for part in data]


class _Parser:
    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = b""

    def feed(self, data: bytes) -> list[Reply]:
        self._parser.feed_data(data)
        return self.replies

    def on_message_begin(self) -> None:
        self._headers, self._body = {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self.replies.append(Reply(status, self._headers, self._body))


def replies(data: bytes) -> list[Reply]:
    """Parse the whole responses in these bytes."""
    return _Parser().feed(data)


def client(service: Service, *, peer: str = "127.0.0.1") -> tuple[Connection, KeepingTransport]:
    """A new connection to a service."""
    connection = Connection(service)
    transport = KeepingTransport(connection, peer)
    connection.connection_made(transport)
    return connection, transport


def request(
    body: Any = None,
    *,
    method: str = "POST",
    path: str = "/v1/chat/completions",
    key: str | None = KEY,
    version: str = "1.1",
    headers: str = "",
) -> bytes:
    """The bytes of a request; a body that is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    auth = f"authorization: Bearer {key}\r\n" if key is not None else ""
    return (
        f"{method} {path} HTTP/{version}\r\nhost: x\r\n{auth}{headers}"
        f"content-length: {len(data)}\r\n\r\n"
    ).encode() + data


def chat(text: str = "Hello!", *, model: str = "kimi-k2.6", **fields: Any) -> dict[str, Any]:
    """A chat request's body."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def ask(simulator: Simulator, body: Any = None, **options: Any) -> Reply:
    """Ask on a connection of its own what is answered at once."""
    connection, transport = client(simulator, peer=options.pop("peer", "127.0.0.1"))
    connection.data_received(request(chat() if body is None else body, **options))
    answered = replies(transport.written)
    assert len(answered) == 1, transport.written
    return answered[0]
