from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme
from tests.integration.server.doors import PATIENCE, Wire, doors
from tests.unit.server.test_mcp_http import handshake
from websockets.asyncio.client import connect

from mcp_gateway.errors import ConfigError

pytestmark = pytest.mark.integration

SECRET = "certificate"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def issue(authority: trustme.CA, folder: Path) -> str:
    """Write a certificate as a Secret holds it; its serial number as TLS shows it."""
    folder.mkdir(exist_ok=True)
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "tls.crt")
    issued.private_key_pem.write_to_path(folder / "tls.key")
    shown = ssl._ssl._test_decode_cert(str(folder / "tls.crt"))  # type: ignore[attr-defined]
    return str(shown["serialNumber"])


def serial(wire: Wire) -> str:
    """The serial number of the certificate that the server showed."""
    return str(wire.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"])


async def shown(address: tuple[str, int], trusting: ssl.SSLContext) -> str:
    """The serial number that a new connection is shown."""
    async with Wire.connect(address, trusting) as wire:
        return serial(wire)


async def test_the_main_port_speaks_tls(
    tmp_path: Path, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    issue(authority, tmp_path / SECRET)
    tls = {"secretName": SECRET}
    async with doors(secrets_dir=tmp_path, tls=tls) as listeners:
        assert listeners.urls["http"].startswith("https://")
        assert listeners.urls["websocket"].startswith("wss://")
        async with Wire.connect(listeners.main.address, trusting) as wire:
            assert (await wire.ask(handshake("ping"))).status == 200
            close = handshake("ping", headers={"connection": "close"})
            assert (await wire.ask(close)).status == 200
            await wire.ended()
        async with connect(listeners.urls["websocket"], ssl=trusting) as websocket:
            await websocket.send('{"jsonrpc":"2.0","id":1,"method":"ping"}')
            assert '"result"' in str(await websocket.recv())
        async with Wire.connect(listeners.main.address) as plain:
            plain.writer.write(handshake("ping"))
            assert b"HTTP" not in await plain.ended()


async def test_a_certificate_that_changed_is_served_and_open_connections_stay(
    tmp_path: Path, authority: trustme.CA, trusting: ssl.SSLContext
) -> None:
    first = issue(authority, tmp_path / SECRET)
    files = {
        "certFile": str(tmp_path / SECRET / "tls.crt"),
        "keyFile": str(tmp_path / SECRET / "tls.key"),
    }
    async with doors(tls=files) as listeners:
        address = listeners.main.address
        async with Wire.connect(address, trusting) as old:
            assert serial(old) == first
            second = issue(authority, tmp_path / SECRET)
            assert second != first
            for _ in range(int(PATIENCE / 0.05)):
                if await shown(address, trusting) == second:
                    break
                await asyncio.sleep(0.05)
            assert await shown(address, trusting) == second
            assert (await old.ask(handshake("ping"))).status == 200


async def test_a_start_without_the_secret_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tls\.crt"):
        async with doors(secrets_dir=tmp_path, tls={"secretName": SECRET}):
            pass
    with pytest.raises(ConfigError, match="secrets-dir"):
        async with doors(tls={"secretName": SECRET}):
            pass
