from __future__ import annotations

import asyncio
import socket
import ssl

import pytest
import trustme
from tests.support.fake_upstream import answer
from tests.support.raw_server import Handler, Peer, responder, serving, tunnel

from mcp_gateway.errors import ConnectFailed, UpstreamTimeout
from mcp_gateway.upstream.connect import Connector, Proxy, tls_context
from mcp_gateway.upstream.connection import Connection, State, Timeouts
from mcp_gateway.upstream.endpoint import Endpoint

pytestmark = pytest.mark.integration

REQUEST = b"POST /v1/x HTTP/1.1\r\nHost: h\r\n\r\n"


async def silent(peer: Peer) -> None:
    await peer.gone()


def https(port: int, host: str = "127.0.0.1") -> Endpoint:
    return Endpoint.parse(f"https://{host}:{port}")


def http(port: int) -> Endpoint:
    return Endpoint.parse(f"http://127.0.0.1:{port}")


async def ends(connection: Connection) -> None:
    """Close it and wait until it is gone."""
    connection.close()
    async with asyncio.timeout(60):
        await connection.wait_closed()


async def unused_port() -> int:
    """A port nobody listens on: bound, and never listening."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def test_tls_is_verified_against_a_private_authority(
    server_tls: ssl.SSLContext, bundle: str
) -> None:
    offered: list[str | None] = []
    server_tls.set_alpn_protocols(["h2", "http/1.1"])

    async def handle(peer: Peer) -> None:
        offered.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await responder(answer())(peer)

    async with serving(handle, server_tls) as server:
        connector = Connector(tls=tls_context(bundle))
        for host in ("127.0.0.1", "localhost"):
            connection = await connector.connect(https(server.port, host))
            assert connection.state is State.READY
            assert (await connection.exchange(REQUEST, Timeouts())).status == 200
            await ends(connection)
    assert offered == ["http/1.1", "http/1.1"]


async def test_a_certificate_of_an_unknown_authority_is_refused(
    server_tls: ssl.SSLContext,
) -> None:
    stranger = trustme.CA().cert_pem.bytes().decode()
    async with serving(silent, server_tls) as server:
        for connector in (Connector(), Connector(tls=tls_context(stranger))):
            with pytest.raises(ConnectFailed, match="certificate not accepted"):
                await connector.connect(https(server.port))


async def test_a_certificate_for_another_name_is_refused(
    authority: trustme.CA, bundle: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    async with serving(silent, context) as server:
        with pytest.raises(ConnectFailed, match="certificate not accepted"):
            await Connector(tls=tls_context(bundle)).connect(https(server.port))


async def test_a_server_without_tls_is_refused(bundle: str) -> None:
    async def plain(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.gone()

    async with serving(plain) as server:
        with pytest.raises(ConnectFailed):
            await Connector(tls=tls_context(bundle)).connect(https(server.port))


async def test_a_server_that_closes_during_the_handshake_is_a_failure(bundle: str) -> None:
    async def closing(peer: Peer) -> None:
        await peer.reader.read(1)

    async with serving(closing) as server:
        with pytest.raises(ConnectFailed):
            await Connector(tls=tls_context(bundle)).connect(https(server.port))


async def test_a_handshake_that_stalls_times_out(bundle: str) -> None:
    async with serving(silent) as server:
        connector = Connector(tls=tls_context(bundle), timeout=0.05)
        with pytest.raises(UpstreamTimeout, match=r"within 0\.05 s") as caught:
            await connector.connect(https(server.port))
        assert caught.value.phase == "connect"


async def test_a_port_nobody_listens_on_is_a_failure() -> None:
    with pytest.raises(ConnectFailed, match=r"no connection to http://127\.0\.0\.1:"):
        await Connector().connect(http(await unused_port()))


async def test_an_unknown_name_is_a_failure() -> None:
    with pytest.raises(ConnectFailed, match=r"provider\.invalid.*name not found"):
        # A machine without a network takes a while to find out.
        await Connector(timeout=60.0).connect(Endpoint.parse("http://provider.invalid"))


async def test_cancelling_leaves_nothing_open(bundle: str) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def stalling(peer: Peer) -> None:
        asked.set()
        await peer.gone()
        left.set()

    async with serving(stalling) as server:
        task = asyncio.create_task(Connector(tls=tls_context(bundle)).connect(https(server.port)))
        async with asyncio.timeout(60):
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await left.wait()


# Through a proxy.


async def test_a_tunnel_carries_plain_and_tls(server_tls: ssl.SSLContext, bundle: str) -> None:
    seen: list[bytes] = []
    for context in (None, server_tls):
        async with (
            serving(responder(answer(b"through")), context) as server,
            serving(tunnel(seen=seen)) as proxy,
        ):
            way = Proxy.parse(f"http://127.0.0.1:{proxy.port}")
            connector = Connector(tls=tls_context(bundle), proxy=way)
            endpoint = https(server.port) if context else http(server.port)
            connection = await connector.connect(endpoint)
            for _ in range(2):
                assert (await connection.exchange(REQUEST, Timeouts())).body == b"through"
            assert proxy.connections == 1
            assert seen.pop().startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % server.port)
            await ends(connection)


async def test_a_proxy_gets_its_credentials_and_the_provider_does_not(
    server_tls: ssl.SSLContext, bundle: str
) -> None:
    requests: list[bytes] = []

    async def handle(peer: Peer) -> None:
        requests.append(await peer.request())
        await peer.send(answer())
        await peer.gone()

    async with (
        serving(handle, server_tls) as server,
        serving(tunnel("Basic dXNlcjpwYXNz")) as proxy,
    ):
        url = f"http://127.0.0.1:{proxy.port}"
        good = Connector(tls=tls_context(bundle), proxy=Proxy.parse(url, "user:pass"))
        connection = await good.connect(https(server.port))
        await connection.exchange(REQUEST, Timeouts())
        await ends(connection)
        for way in (Proxy.parse(url), Proxy.parse(url, "user:hunter2")):
            with pytest.raises(ConnectFailed, match="the proxy answered 407") as caught:
                await Connector(tls=tls_context(bundle), proxy=way).connect(https(server.port))
            assert "hunter2" not in str(caught.value)
    assert requests == [REQUEST]


async def test_the_providers_certificate_is_verified_through_a_proxy(
    server_tls: ssl.SSLContext,
) -> None:
    async with serving(silent, server_tls) as server, serving(tunnel()) as proxy:
        way = Proxy.parse(f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectFailed, match="certificate not accepted"):
            await Connector(proxy=way).connect(https(server.port))


def saying(data: bytes) -> Handler:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)

    return handle


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "answered 502"),
        (b"SOCKS\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 OK\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nearly", "before the tunnel"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000, "too long"),
        (b"HTTP/1.1 200", "the proxy closed"),
        (b"", "the proxy closed"),
    ],
)
async def test_a_proxy_that_misbehaves_is_a_failure(says: bytes, reason: str) -> None:
    async with serving(saying(says)) as proxy:
        connector = Connector(proxy=Proxy.parse(f"http://127.0.0.1:{proxy.port}"))
        with pytest.raises(ConnectFailed, match=reason):
            await connector.connect(http(1))


async def test_a_proxy_that_stalls_times_out() -> None:
    async with serving(silent) as proxy:
        way = Proxy.parse(f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(UpstreamTimeout):
            await Connector(proxy=way, timeout=0.05).connect(http(1))


async def test_a_provider_that_closes_in_the_tunnel_is_a_failure(bundle: str) -> None:
    async def closing(peer: Peer) -> None:
        await peer.reader.read(1)

    async with serving(closing) as server, serving(tunnel()) as proxy:
        way = Proxy.parse(f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ConnectFailed):
            await Connector(tls=tls_context(bundle), proxy=way).connect(https(server.port))
