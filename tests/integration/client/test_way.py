"""The ways to a gateway: TLS, proxies, addresses where something else answers, nobody at all."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
import trustme
from tests.integration.client.gateways import KEY, gateway
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from mcp_gateway.api import ChatRequest
from mcp_gateway.client import Client
from mcp_gateway.errors import ConnectFailed, ConnectionLost
from mcp_gateway.simulator import Simulator

pytestmark = pytest.mark.integration

CHAT = ChatRequest(model="fast", messages=[{"role": "user", "content": "Hello!"}], max_tokens=3)


@asynccontextmanager
async def listener(handle: asyncio.streams._ClientConnectedCallback) -> AsyncIterator[int]:
    """A TCP server on a port the system chose."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def port_of(server: Server) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


# --- TLS -------------------------------------------------------------------------------


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def secure(
    authority: trustme.CA, simulator: Simulator, tmp_path: Path
) -> AsyncIterator[dict[str, str]]:
    """URLs of a gateway with a certificate of the authority."""
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    files = {"certFile": str(tmp_path / "tls.crt"), "keyFile": str(tmp_path / "tls.key")}
    async with gateway(await simulator.start(), tls=files) as made:
        yield made.urls


@pytest.mark.parametrize("way", ["websocket", "http"])
async def test_a_certificate_of_a_trusted_authority_is_taken(
    way: str, secure: dict[str, str], authority: trustme.CA
) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    assert secure[way].startswith(("wss:", "https:"))
    async with Client(secure[way], KEY, tls=trusting) as client:
        assert (await client.chat(CHAT)).content


@pytest.mark.parametrize("way", ["websocket", "http"])
async def test_another_certificate_is_refused_at_once(way: str, secure: dict[str, str]) -> None:
    async with Client(secure[way], KEY) as client:
        response = await client.chat(CHAT)

    assert isinstance(response.error, ConnectFailed)
    assert "is not trusted" in str(response.error)
    assert not response.error.retryable


# --- proxies ---------------------------------------------------------------------------


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one CONNECT."""
    head = await reader.readuntil(b"\r\n\r\n")
    host, _, port = head.split()[1].decode().rpartition(":")
    there, back = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await asyncio.gather(_copy(reader, back), _copy(there, writer))


@pytest.mark.parametrize("way", ["websocket", "http"])
async def test_a_proxy_is_gone_through(
    way: str, secure: dict[str, str], authority: trustme.CA
) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    tunnels: list[None] = []

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tunnels.append(None)
        await _tunnel(reader, writer)

    async with listener(counted) as port:
        settings = {"tls": trusting, "proxy": f"http://127.0.0.1:{port}"}
        async with Client(secure[way], KEY, **settings) as client:  # type: ignore[arg-type]
            assert (await client.chat(CHAT)).content

    assert len(tunnels) == 1


async def test_the_environments_proxy_is_not_taken(
    url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    async with Client(url, key, reconnect_for=0.0) as client:
        assert (await client.chat(CHAT)).content


# --- something else answers ------------------------------------------------------------


async def test_a_redirected_upgrade_does_not_carry_the_key_elsewhere() -> None:
    seen: list[str | None] = []

    def elsewhere(connection: ServerConnection, request: Request) -> None:
        seen.append(request.headers.get("Authorization"))

    async def drop(connection: ServerConnection) -> None:
        await connection.close()

    async with serve(drop, "127.0.0.1", 0, process_request=elsewhere) as target:
        port = port_of(target)

        def redirect(connection: ServerConnection, request: Request) -> Response:
            location = Headers({"Location": f"ws://127.0.0.1:{port}/mcp", "Content-Length": "0"})
            return Response(HTTPStatus.FOUND, "Found", location)

        async with serve(drop, "127.0.0.1", 0, process_request=redirect) as server:
            here = port_of(server)
            async with Client(f"ws://127.0.0.1:{here}/mcp", "mgw_secret") as client:
                response = await client.chat(CHAT)

    assert isinstance(response.error, ConnectFailed)
    assert "302" in str(response.error)
    assert seen == []


@pytest.mark.parametrize("scheme", ["ws", "http"])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
        b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_an_address_without_a_gateway_is_told_as_one(scheme: str, answer: bytes) -> None:
    async def serve_something_else(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with (
        listener(serve_something_else) as port,
        Client(f"{scheme}://127.0.0.1:{port}/mcp") as client,
    ):
        response = await client.chat(CHAT)

    assert isinstance(response.error, ConnectFailed)
    assert "there is no MCP over" in str(response.error)


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_what_is_no_http_at_all_is_a_typed_error(scheme: str) -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x00\x01\x02 garbage\r\n\r\n")
        writer.close()

    async with (
        listener(garbage) as port,
        Client(f"{scheme}://127.0.0.1:{port}/mcp", reconnect_for=0.0) as client,
    ):
        response = await client.chat(CHAT)

    assert isinstance(response.error, ConnectFailed | ConnectionLost)


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_nobody_there_is_told_when_patience_ends(scheme: str) -> None:
    async with listener(_tunnel) as port:
        pass  # the port was free a moment ago and is again

    async with Client(f"{scheme}://127.0.0.1:{port}/mcp", reconnect_for=0.0) as client:
        response = await client.chat(CHAT)

    assert type(response.error) is ConnectFailed
    assert f"cannot connect to {scheme}://127.0.0.1:{port}/mcp" in str(response.error)


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_an_address_that_never_answers_is_left_in_time(scheme: str) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listener(silent) as port:
        url = f"{scheme}://127.0.0.1:{port}/mcp"
        client = Client(url, reconnect_for=0.0, connect_timeout=0.2, timeout=0.5)
        async with client:
            response = await client.chat(CHAT)

    assert response.error is not None
    assert response.error.reason in {"ConnectFailed", "DeadlineExceeded"}


async def test_a_connection_that_breaks_off_ends_only_what_was_sent() -> None:
    """The first connection is cut with one call on it; the second call goes to the next one."""
    connections: list[ServerConnection] = []
    both = asyncio.Event()

    async def cut_first(connection: ServerConnection) -> None:
        connections.append(connection)
        first = len(connections) == 1
        async for message in connection:
            if first:
                await both.wait()
                connection.transport.abort()
                return
            result = {"structuredContent": {"content": "here"}}
            answer = {"jsonrpc": "2.0", "id": json.loads(message)["id"], "result": result}
            await connection.send(json.dumps(answer))

    async with serve(cut_first, "127.0.0.1", 0) as server:
        port = port_of(server)
        async with Client(f"ws://127.0.0.1:{port}/mcp") as client:
            lost = asyncio.ensure_future(client.chat(CHAT))
            while not connections:  # noqa: ASYNC110 - the server's list signals nothing
                await asyncio.sleep(0.005)
            both.set()
            assert isinstance((await lost).error, ConnectionLost)
            assert (await client.chat(CHAT)).content == "here"

    assert len(connections) == 2
