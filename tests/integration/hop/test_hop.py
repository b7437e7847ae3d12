"""More pods than slots, on real processes: eight pods, one account, one request at a time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.hop.fleet import CHAT, PATIENCE, Fleet, events, fleet_of
from tests.support.gateway_process import simulator

pytestmark = pytest.mark.integration

FAST: dict[str, Any] = {
    "concurrency": 1,
    "latency": {"firstToken": {"median": "10ms"}, "perToken": {"median": "1ms"}},
    "answerTokens": {"median": 5, "sigma": 0.0},
}
SLOW: dict[str, Any] = {
    **FAST,
    "latency": {"firstToken": {"median": "0s"}, "perToken": {"median": "50ms"}},
    "answerTokens": {"median": 4000, "sigma": 0.0},
}


@pytest.fixture(scope="module")
async def eight(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """Eight pods, of which the first holds the one slot."""
    with simulator(FAST) as provider:
        async with fleet_of(8, tmp_path_factory.mktemp("hop") / "pods", provider) as fleet:
            yield fleet


@pytest.fixture
async def fleet(eight: Fleet) -> Fleet:
    """The same, at rest, for one test."""
    eight.simulator.configure(FAST)
    await eight.operator.grant({eight.names()[0]: 1})
    await until(lambda: _at_rest(eight))
    return eight


async def _at_rest(fleet: Fleet) -> bool:
    stats = await asyncio.to_thread(fleet.stats)
    return not stats.get("in_flight", 0)


async def until(holds: Any, patience: float = PATIENCE) -> None:
    """Return when what is asked for is true."""
    async with asyncio.timeout(patience):
        while not await holds():  # noqa: ASYNC110 - what is looked at signals nothing
            await asyncio.sleep(0.02)


async def test_every_client_of_every_pod_is_served_by_the_one_slot(fleet: Fleet) -> None:
    names = fleet.names()
    before = fleet.stats().get("answered", 0)
    whole = [fleet.ask(name) for name in names for _ in range(3)]
    streamed = [fleet.ask(name, stream=True) for name in names for _ in range(3)]
    answers = await asyncio.gather(*whole, *streamed)
    assert [answer.status_code for answer in answers] == [200] * 48
    for answer in answers[:24]:
        assert answer.json()["choices"][0]["message"]["content"]
    for answer in answers[24:]:
        told = events(answer.text)
        assert told[-1] == "[DONE]"
        assert any(event["choices"][0]["delta"].get("content") for event in told[:-1])
    stats = fleet.stats()
    assert stats["max_in_flight"] == 1
    assert stats["answered"] - before == 48
    for name in names[1:]:
        assert (await fleet.hops(name, "out"))["ok"] >= 6
        assert await fleet.hops(name, "in") == {}


async def test_a_stream_arrives_while_it_is_written(fleet: Fleet) -> None:
    fleet.simulator.configure(SLOW)
    async with fleet.stream(fleet.names()[3]) as answer:
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        async for line in lines:
            if '"content"' in line:
                break
        # Its last token is minutes away.
        assert fleet.stats()["in_flight"] == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_that_leaves_ends_the_call_at_the_provider(
    fleet: Fleet, *, streamed: bool
) -> None:
    fleet.simulator.configure(SLOW)
    before = fleet.stats().get("disconnected", 0)
    asking = asyncio.create_task(fleet.ask(fleet.names()[5], stream=streamed))
    await until(lambda: _in_flight(fleet, 1))
    asking.cancel()
    await until(lambda: _disconnected(fleet, before + 1))
    fleet.simulator.configure(FAST)
    assert (await fleet.ask(fleet.names()[6])).status_code == 200


async def _in_flight(fleet: Fleet, count: int) -> bool:
    return bool((await asyncio.to_thread(fleet.stats)).get("in_flight", 0) == count)


async def _disconnected(fleet: Fleet, count: int) -> bool:
    return bool((await asyncio.to_thread(fleet.stats)).get("disconnected", 0) == count)


async def test_a_greedy_client_leaves_the_others_their_turns(fleet: Fleet) -> None:
    first, *others = fleet.names()
    fleet.simulator.configure(SLOW)
    holding = asyncio.create_task(fleet.ask(first, "greedy"))
    await until(lambda: _in_flight(fleet, 1))
    fleet.simulator.configure(FAST)
    ended: list[str] = []
    greedy = [asyncio.create_task(fleet.ask(others[n % 3], "greedy")) for n in range(60)]
    await until(lambda: _wait(fleet, first, 60))
    polite = asyncio.create_task(fleet.ask(others[4], "anna"))
    await until(lambda: _wait(fleet, first, 61))
    polite.add_done_callback(lambda _: ended.append("anna"))
    for task in greedy:
        task.add_done_callback(lambda _: ended.append("greedy"))
    holding.cancel()
    answers = await asyncio.gather(polite, *greedy)
    assert {answer.status_code for answer in answers} == {200}
    # It came last and its turn came next; how its answer gets here is up to the machine.
    assert ended.index("anna") < 30
    assert fleet.stats()["max_in_flight"] == 1


async def test_a_marked_request_is_not_sent_on(fleet: Fleet) -> None:
    before = fleet.stats().get("requests", 0)
    answer = await marked(fleet, fleet.names()[2])
    assert (answer.status_code, answer.json()["error"]["reason"]) == (421, "Misdirected")
    assert fleet.stats().get("requests", 0) == before
    assert (await marked(fleet, fleet.names()[0])).status_code == 200


async def marked(
    fleet: Fleet, name: str, *, token: str | None = None, ca: str | None = None
) -> httpx.Response:
    """Ask on a pod's peer port, as another pod would."""
    credentials = fleet.pods.credentials
    context = httpx.create_ssl_context(verify=False)
    context.load_verify_locations(cadata=ca or credentials.ca)
    address = fleet.pod(name).pod.ip
    headers = {
        "authorization": f"Bearer {credentials.token if token is None else token}",
        "mcp-gateway-hop": "web-99",
        "mcp-gateway-client": "anna",
    }
    url = f"https://{address}:9082/v1/providers/kimi/chat"
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=PATIENCE) as http:
        return await http.post(url, json=CHAT, headers=headers)


async def test_the_slot_moves_and_who_waits_follows_it(fleet: Fleet) -> None:
    first, second, *others = fleet.names()
    fleet.simulator.configure(SLOW)
    holding = asyncio.create_task(fleet.ask(first))
    await until(lambda: _in_flight(fleet, 1))
    waiting = [asyncio.create_task(fleet.ask(name)) for name in [first, *others]]
    await until(lambda: _wait(fleet, first, len(waiting)))
    fleet.simulator.configure(FAST)
    await fleet.operator.grant({})
    holding.cancel()
    await until(lambda: _in_flight(fleet, 0))
    await fleet.operator.grant({second: 1})
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
    assert fleet.stats()["max_in_flight"] == 1


async def _wait(fleet: Fleet, name: str, count: int) -> bool:
    return await fleet.waiting(name) == count


async def test_strangers_get_nothing_on_the_peer_port(fleet: Fleet) -> None:
    first = fleet.names()[0]
    before = fleet.stats().get("requests", 0)
    for token in ("guessed", "a" * 5000):
        answer = await marked(fleet, first, token=token)
        assert answer.status_code == 401
        assert "kimi" not in answer.text
    reader, writer = await asyncio.open_connection(fleet.pod(first).pod.ip, 9082)
    writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 100)
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            while await reader.read(1000):
                pass
    writer.close()
    assert fleet.stats().get("requests", 0) == before
    assert (await fleet.ask(fleet.names()[1])).status_code == 200


async def test_a_renewed_certificate_and_a_new_token_hold_without_a_restart(fleet: Fleet) -> None:
    (fleet.pods.control / "tls.crt").write_bytes(b"")
    before = fleet.pods.credentials.token
    fleet.pods.write_control(token=b"another")
    await until(lambda: _token_holds(fleet, "another"))
    served = await asyncio.to_thread(
        ssl.get_server_certificate, (fleet.pod(fleet.names()[0]).pod.ip, 9082)
    )
    assert served.strip() == (fleet.pods.control / "tls.crt").read_text().strip()
    answers = await asyncio.gather(*(fleet.ask(name) for name in fleet.names()[1:]))
    assert {answer.status_code for answer in answers} == {200}
    assert (await marked(fleet, fleet.names()[0], token=before)).status_code == 200, "for a while"


async def _token_holds(fleet: Fleet, token: str) -> bool:
    answers = [await marked(fleet, name, token=token) for name in fleet.names()]
    return all(answer.status_code != 401 for answer in answers)


async def test_models_with_limits_of_their_own_hop_one_by_one(tmp_path: Path) -> None:
    models = ("large", "small")
    settings = {**FAST, "models": list(models), "byModel": {m: {"concurrency": 1} for m in models}}
    del settings["concurrency"]
    with simulator(settings, wire="glm") as provider:
        async with fleet_of(2, tmp_path / "pods", provider) as fleet:
            first, second = fleet.names()
            await fleet.operator.grant({}, large={first: 1}, small={second: 1})
            answers = await asyncio.gather(
                *(
                    fleet.ask(name, model=model, stream=streamed)
                    for name in fleet.names()
                    for model in models
                    for streamed in (False, True)
                    for _ in range(4)
                )
            )
            assert [answer.status_code for answer in answers] == [200] * 32
            for name in fleet.names():
                assert (await fleet.hops(name, "out"), await fleet.hops(name, "in")) == (
                    {"ok": 8},
                    {"ok": 8},
                )
            seen = provider.stats()["accounts"].values()
            assert [each["max_in_flight"] for each in seen] == [1, 1]


async def test_a_killed_pod_takes_only_what_it_had_begun(tmp_path: Path) -> None:
    with simulator(SLOW) as provider:
        async with fleet_of(3, tmp_path / "pods", provider) as fleet:
            doomed, other, spare = fleet.names()
            await fleet.operator.grant({doomed: 1})
            begun = asyncio.create_task(fleet.ask(other))
            await until(lambda: _in_flight(fleet, 1))
            waits = asyncio.create_task(fleet.ask(other))
            await until(lambda: _wait(fleet, doomed, 1))
            os.kill(fleet.pod(doomed).child.pid, signal.SIGKILL)
            assert (await begun).status_code == 502
            provider.configure(FAST)
            del fleet.operator.wires[doomed]
            await fleet.operator.grant({spare: 1})
            assert (await waits).status_code == 200
            assert fleet.stats()["max_in_flight"] == 1
