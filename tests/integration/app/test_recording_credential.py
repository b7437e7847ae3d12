"""Both halves of the database's credential are followed while the gateway runs."""

import json
from pathlib import Path

import pytest
from tests.integration.app.documents import document, hello
from tests.support.eventually import eventually
from tests.support.raw_server import Peer, serving

from mcp_gateway.app import Gateway
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.recording.schema import SCHEMA_VERSION

pytestmark = pytest.mark.integration


def header(request: bytes, name: str) -> str:
    for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        field, _, value = line.partition(b":")
        if field.decode().lower() == name:
            return value.decode().strip()
    return ""


async def test_a_rotated_credential_opens_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy of the environment must not come between, and see the keys.
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    seen: list[tuple[str, str]] = []

    async def database(peer: Peer) -> None:
        while request := await peer.request():
            seen.append((header(request, "authorization"), header(request, "apikey")))
            body = json.dumps({"stored": 1, "schema": SCHEMA_VERSION}).encode()
            await peer.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%b" % (len(body), body)
            )

    folder = tmp_path / "supabase"
    folder.mkdir()
    (folder / "key").write_text("writer-1")
    (folder / "api-key").write_text("publishable-1")
    async with serving(database) as server:
        supabase = {
            "url": f"http://127.0.0.1:{server.port}",
            "key": {"secretRef": {"name": "supabase", "key": "key"}},
            "apiKey": {"secretRef": {"name": "supabase", "key": "api-key"}},
            "interval": "20ms",
        }
        wanted = document(recording={"supabase": supabase})
        async with Gateway(wanted, secrets=SecretReader(tmp_path, {}), listen=False) as gateway:
            await eventually(lambda: ("Bearer writer-1", "publishable-1") in seen)
            (folder / "api-key").write_text("publishable-2\n")
            await gateway.apply(wanted)
            await gateway.chat(hello())
            await eventually(lambda: ("Bearer writer-1", "publishable-2") in seen)
            (folder / "key").write_text("writer-2\n")
            await gateway.apply(wanted)
            await gateway.chat(hello())
            await eventually(lambda: ("Bearer writer-2", "publishable-2") in seen)
