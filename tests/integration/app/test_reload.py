"""A document applied to a running gateway: between two requests, whole or not at all."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.app.documents import SLOW, document, hello, simulated

from mcp_gateway.app import Gateway
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.archive import Archive, Question
from mcp_gateway.upstream.pool import PoolState

pytestmark = pytest.mark.integration


async def test_a_stream_in_flight_survives_and_the_next_request_sees_the_new_document() -> None:
    async with Gateway(document(simulated("kimi", **SLOW)), listen=False) as gateway:
        stream = gateway.stream(hello())
        await anext(stream)
        await gateway.apply(document(simulated("kimi", **SLOW), simulated("glm", "glm")))
        pieces = [delta async for delta in stream]
        assert pieces
        assert stream.response is not None
        assert stream.response.error is None
        response = await gateway.chat(hello(model="glm-5"))
        assert response.provider == "glm"


async def test_an_account_whose_address_stays_keeps_its_connections() -> None:
    async with Gateway(document(), listen=False) as gateway:
        await gateway.chat(hello())
        before = gateway.engine.accounts.live["kimi"]
        changed = simulated("kimi")
        changed["pool"] = {"maxConnections": 3}
        await gateway.apply(document(changed))
        account = gateway.engine.accounts.live["kimi"]
        assert account is before
        assert account.pool.stats().capacity == 3
        await gateway.chat(hello())
        assert account.pool.stats().created == 1


async def test_a_provider_that_is_removed_ends_its_requests_first() -> None:
    providers = [simulated("kimi", **SLOW), simulated("other")]
    async with Gateway(document(*providers), listen=False) as gateway:
        stream = gateway.stream(hello(provider="kimi"))
        await anext(stream)
        await gateway.apply(document(simulated("other")))
        assert "kimi" not in gateway.engine.accounts.live
        async for _ in stream:
            pass
        assert stream.response is not None
        assert stream.response.error is None


async def test_a_document_that_is_wrong_changes_nothing(tmp_path: Path) -> None:
    async with Gateway(document(), listen=False) as gateway:
        generation = gateway.engine.generation
        missing = {"name": "kimi", "type": "kimi", "apiKey": {"env": "NOT_SET"}}
        with pytest.raises(ConfigError):
            await gateway.apply(document(missing))
        with pytest.raises(ConfigError):
            await gateway.apply(document(middleware=["auth", "no_such_layer"]))
        assert gateway.engine.generation == generation
        assert (await gateway.chat(hello())).content


async def test_a_rotated_key_reaches_the_next_request(tmp_path: Path) -> None:
    secret = tmp_path / "kimi" / "api-key"
    secret.parent.mkdir()
    secret.write_text("sk-old\n")
    seen: list[str] = []

    async def provider(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:-2])
            lower = {name.lower(): value for name, value in fields.items()}
            await reader.readexactly(int(lower["content-length"]))
            seen.append(lower["authorization"])
            body = b'{"choices":[{"message":{"content":"ok"},"finish_reason":"stop"}]}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    server = await asyncio.start_server(provider, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    spec: dict[str, Any] = {
        "name": "kimi",
        "type": "kimi",
        "endpoints": [{"url": f"http://127.0.0.1:{port}/v1"}],
        "apiKey": {"secretRef": {"name": "kimi", "key": "api-key"}},
    }
    wanted = document(spec)
    async with Gateway(wanted, secrets=SecretReader(tmp_path, {}), listen=False) as gateway:
        await gateway.chat(hello())
        secret.write_text("sk-new\n")
        await gateway.apply(wanted)
        await gateway.chat(hello())
        stats = gateway.engine.accounts.live["kimi"].pool.stats()
    server.close()
    assert seen == ["Bearer sk-old", "Bearer sk-new"]
    assert stats.created == 1


async def test_a_changed_recording_loses_no_record(tmp_path: Path) -> None:
    async with Gateway(document(), data_dir=tmp_path, listen=False) as gateway:
        ids: set[str] = set()

        async def ask() -> None:
            for _ in range(40):
                ids.add((await gateway.chat(hello())).id)

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        for mode in ("all", "metadata", "prompts"):
            await gateway.apply(document(recording={"mode": mode}))
        await asyncio.gather(*asking)
    with Archive(tmp_path / "spool.db") as archive:
        assert {row["id"] for row in archive.latest(Question(), 1000)} == ids


async def test_a_models_limit_that_is_no_longer_stated_is_found_out_again() -> None:
    def limited(**by_model: Any) -> dict[str, Any]:
        return {**simulated("glm", "glm"), "limits": {"byModel": by_model}}

    stated = {"concurrency": 2}
    async with Gateway(document(limited(a=stated, b=stated)), listen=False) as gateway:
        pool = gateway.engine.accounts.live["glm"].pool
        assert [lane.share for lane in pool.stats().lanes.values()] == [2, 2]
        await gateway.apply(document(limited(a=stated)))
        assert {name: lane.share for name, lane in pool.stats().lanes.items()} == {
            "a": 2,
            "b": None,
        }


async def test_a_refused_document_leaves_the_simulator_in_force_alone() -> None:
    async with Gateway(document(), listen=False) as gateway:
        missing = {"name": "glm", "type": "glm", "apiKey": {"env": "NOT_SET"}}
        with pytest.raises(ConfigError):
            await gateway.apply(document(simulated("kimi", seed=5), missing))
        await gateway.apply(document(pool_of_three()))
        response = await gateway.chat(hello())
        assert response.error is None


def pool_of_three() -> dict[str, Any]:
    return {**simulated("kimi"), "pool": {"maxConnections": 3}}


async def test_a_spool_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    async with Gateway(document(), data_dir=tmp_path, listen=False) as gateway:
        generation, before = gateway.engine.generation, gateway.engine.snapshot
        bad = {"durability": "sync", "spool": {"path": str(tmp_path / "file" / "spool.db")}}
        providers = [simulated("kimi"), simulated("glm", "glm")]
        for _ in range(2):
            with pytest.raises(ConfigError):
                await gateway.apply(document(*providers, recording=bad))
        assert gateway.engine.generation == generation
        assert gateway.engine.snapshot is before
        response = await gateway.chat(hello())
        assert response.error is None
    with Archive(tmp_path / "spool.db") as archive:
        assert [row["id"] for row in archive.latest(Question(), 10)] == [response.id]


async def test_an_admin_token_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    async with Gateway(document(), secrets=SecretReader(tmp_path, {})) as gateway:
        token = {"adminToken": {"secretRef": {"name": "admin", "key": "token"}}}
        with pytest.raises(ConfigError):
            await gateway.apply(document(simulated("glm", "glm"), server=token))
        assert gateway.engine.generation == 1
        assert list(gateway.engine.accounts.live) == ["kimi"]


async def test_a_gateway_that_ends_while_an_account_retires_leaves_no_connection() -> None:
    async with Gateway(document(simulated("kimi", **SLOW)), listen=False) as gateway:
        stream = gateway.stream(hello())
        await anext(stream)
        retired = gateway.engine.accounts.live["kimi"].pool
        await gateway.apply(document(simulated("other")))
        await gateway.aclose()
        assert retired.state is PoolState.CLOSED
        await stream.aclose()


async def test_limits_can_be_moved_from_outside() -> None:
    async with (
        Gateway(document()) as gateway,
        httpx.AsyncClient(trust_env=False, timeout=60.0) as http,
    ):
        url = gateway.urls["admin"] + "/limits"
        answer = await http.put(url, json={"providers": {"kimi": {"share": 3}}})
        assert answer.status_code == 200
        assert gateway.engine.accounts.live["kimi"].pool.stats().limit == 3
        both = {"providers": {"kimi": {"share": 5}, "nobody": {"share": 1}}}
        answer = await http.put(url, json=both)
        assert answer.status_code in {400, 422}
        assert "nobody" in answer.text
        assert gateway.engine.accounts.live["kimi"].pool.stats().limit == 3
        answer = await http.put(url, json={"providers": {"kimi": {"share": -1}}})
        assert answer.status_code in {400, 422}


async def test_documents_can_be_put_and_a_wrong_one_leaves_the_last_good() -> None:
    async with (
        Gateway(document()) as gateway,
        httpx.AsyncClient(trust_env=False, timeout=60.0) as http,
    ):
        url = gateway.urls["admin"] + "/config"
        wanted = document(simulated("kimi"), simulated("glm", "glm"))
        text = wanted.model_dump_json(by_alias=True, exclude_none=True)
        put = await http.put(url, content=text)
        assert put.status_code == 200, put.text
        assert put.json()["generation"] == 2
        wrong = await http.put(
            url, content="apiVersion: gateway.exai.dev/v1alpha1\nkind: MCPGateway\n"
        )
        assert wrong.status_code in {400, 422}
        assert "spec" in wrong.text
        status = (await http.get(gateway.urls["admin"] + "/status")).json()
        assert [provider["name"] for provider in status["providers"]] == ["kimi", "glm"]
        metrics = (await http.get(gateway.urls["admin"] + "/metrics")).text
        assert "mcp_gateway_config_generation 2.0" in metrics
        assert "mcp_gateway_config_refused_total 1.0" in metrics
