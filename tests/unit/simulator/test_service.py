from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.unit.simulator.line import KEY, ask, chat, client, replies, request

from mcp_gateway.api.simulator import SimulatorSettings
from mcp_gateway.simulator import (
    Failure,
    FailureKind,
    Latency,
    Limits,
    LogNormal,
    Settings,
    Simulator,
    account_name,
)
from mcp_gateway.simulator.service import _MAX_ACCOUNTS

NOW = 1_790_000_000.0
SLOW = Latency(first_token=LogNormal(1.0))


def simulator(**settings: Any) -> Simulator:
    return Simulator(Settings(**settings), wall=lambda: NOW)


def account(made: Simulator, key: str = KEY, model: str = "") -> dict[str, Any]:
    name = f"{account_name(key)}/{model}" if model else account_name(key)
    stats: dict[str, Any] = made.stats()["accounts"][name]
    return stats


@pytest.mark.parametrize(
    ("wire", "model", "path"),
    [
        ("kimi", "kimi-k2.6", "/v1"),
        ("kimi", "kimi-k2-0905-preview", "/v1"),
        ("kimi", "moonshot-v1-8k", "/v1"),
        ("glm", "glm-5", "/api/paas/v4"),
        ("glm", "glm-4.6", "/api/coding/paas/v4"),
    ],
)
async def test_a_chat_is_answered_on_both_wires(wire: str, model: str, path: str) -> None:
    reply = ask(simulator(wire=wire), chat(model=model), path=f"{path}/chat/completions")
    assert reply.status == 200
    assert reply.json["model"] == model
    assert "Hello!" in reply.json["choices"][0]["message"]["content"]


async def test_a_document_is_taken_as_it_is() -> None:
    document = SimulatorSettings.model_validate(
        {"models": ["m"], "latency": {"firstToken": {"median": 0.0}, "perToken": {"median": 0.0}}}
    )
    assert ask(Simulator(document), chat(model="m")).status == 200


@pytest.mark.parametrize(
    ("wire", "status", "word"),
    [("kimi", 404, "resource_not_found_error"), ("glm", 400, "1211")],
)
async def test_an_unknown_model_gets_the_wires_own_error(wire: str, status: int, word: str) -> None:
    reply = ask(simulator(wire=wire), chat(model="nope"), path="/v1/chat/completions")
    assert reply.status == status
    assert word in reply.json["error"].values()


@pytest.mark.parametrize("key", [None, "wrong"])
async def test_a_request_without_a_good_key_is_refused(key: str | None) -> None:
    made = simulator(api_keys=frozenset({KEY}))
    for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models")):
        reply = ask(made, method=method, path=path, key=key)
        assert reply.status == 401
        assert reply.json["error"]["type"] == "invalid_authentication_error"
    assert made.stats()["accounts"] == {}


async def test_a_body_that_is_no_chat_is_refused() -> None:
    reply = ask(simulator(), b'{"model":7}')
    assert reply.status == 400
    assert reply.json["error"]["type"] == "invalid_request_error"


async def test_models_are_listed() -> None:
    reply = ask(simulator(models=("a", "b")), method="GET", path="/v1/models")
    assert [model["id"] for model in reply.json["data"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/v1/chat/completions"), ("POST", "/v2/models")]
)
async def test_other_paths_are_not_there(method: str, path: str) -> None:
    assert ask(simulator(), method=method, path=path).status == 404


async def test_a_refusal_says_when_to_come_again_and_takes_its_time() -> None:
    made = simulator(
        limits=Limits(concurrency=1),
        latency=Latency(LogNormal(10.0), refusal=LogNormal(0.1)),
        retry_after=0.05,
    )
    client(made)[0].data_received(request(chat()))
    other, transport = client(made)
    other.data_received(request(chat()))
    await asyncio.sleep(0.09)
    assert transport.written == b""
    await asyncio.sleep(0.02)
    assert b"try again after 0.05 seconds" in transport.written


async def test_in_flight_ends_with_the_last_byte() -> None:
    made = simulator(limits=Limits(concurrency=1), latency=SLOW)
    connection, transport = client(made)
    connection.data_received(request(chat()))
    assert account(made)["in_flight"] == 1
    refused = ask(made)
    assert refused.status == 429
    assert "max organization concurrency: 1" in refused.json["error"]["message"]
    await asyncio.sleep(1.1)
    assert replies(transport.written)[0].status == 200
    assert account(made)["in_flight"] == 0
    assert account(made)["max_in_flight"] == 1
    assert account(made)["refused"] == {"concurrency": 1}


async def test_in_flight_ends_with_the_clients_going_away() -> None:
    made = simulator(limits=Limits(concurrency=1), latency=SLOW)
    connection, transport = client(made)
    connection.data_received(request(chat(stream=True)))
    await asyncio.sleep(0.5)
    transport.close()
    await asyncio.sleep(0)
    assert account(made)["in_flight"] == 0
    assert account(made)["disconnected"] == 1


async def test_limits_are_of_an_account() -> None:
    made = simulator(limits=Limits(concurrency=1), latency=SLOW)
    client(made)[0].data_received(request(chat()))
    other, transport = client(made)
    other.data_received(request(chat(), key="sk-2"))
    assert transport.written == b""
    assert account(made, "sk-2")["in_flight"] == 1


async def test_glm_limits_are_of_a_model() -> None:
    made = simulator(wire="glm", limits=Limits(concurrency=1), latency=SLOW)
    for model in ("glm-5", "glm-4.6"):
        client(made)[0].data_received(request(chat(model=model)))
    assert account(made, model="glm-5")["in_flight"] == 1
    assert account(made, model="glm-4.6")["in_flight"] == 1
    refused = ask(made, chat(model="glm-5"))
    assert (refused.status, refused.json["error"]["code"]) == (429, "1302")


async def test_a_model_may_have_limits_of_its_own() -> None:
    made = simulator(by_model={"kimi-k2.6": Limits(concurrency=1)}, latency=SLOW)
    client(made)[0].data_received(request(chat()))
    assert ask(made).status == 429
    other, transport = client(made)
    other.data_received(request(chat(model="moonshot-v1-8k")))
    assert transport.written == b""


async def test_rates_are_enforced_and_told() -> None:
    made = simulator(limits=Limits(requests_per_minute=2))
    assert ask(made).headers["x-ratelimit-remaining"] == "1"
    last = ask(made)
    assert last.headers["x-ratelimit-remaining"] == "0"
    assert int(last.headers["x-ratelimit-reset"]) == NOW + 61
    refused = ask(made)
    assert refused.status == 429
    assert refused.headers["x-ratelimit-limit"] == "2"
    assert "max RPM: 2, please try again after 60 seconds" in refused.json["error"]["message"]
    await asyncio.sleep(60)
    assert ask(made).status == 200


async def test_tokens_are_charged_with_the_maximum_that_was_asked_for() -> None:
    made = simulator(limits=Limits(tokens_per_minute=600))
    assert ask(made, chat(max_tokens=500)).status == 200
    refused = ask(made, chat(max_tokens=500))
    assert refused.status == 429
    assert "TPM rate limit" in refused.json["error"]["message"]
    assert ask(made, chat(max_tokens=10)).status == 200
    assert ask(simulator(limits=Limits(tokens_per_minute=600))).status == 429


async def test_failures_that_refuse_hold_no_place() -> None:
    made = simulator(failures=(Failure(FailureKind.OVERLOAD, 1.0),))
    reply = ask(made)
    assert reply.status == 429
    assert reply.json["error"]["type"] == "engine_overloaded_error"
    assert account(made)["max_in_flight"] == 0
    assert account(made)["failed"] == {"overload": 1}


async def test_failures_that_begin_hold_a_place() -> None:
    made = simulator(failures=(Failure(FailureKind.STALL, 1.0),))
    connection, transport = client(made)
    connection.data_received(request(chat()))
    await asyncio.sleep(3600)
    assert transport.written == b""
    assert account(made)["in_flight"] == 1


async def test_a_refusal_may_take_its_time() -> None:
    latency = Latency(refusal=LogNormal(0.1))
    made = simulator(limits=Limits(requests_per_minute=1), latency=latency)
    ask(made)
    connection, transport = client(made)
    connection.data_received(request(chat()))
    await asyncio.sleep(0.09)
    assert transport.written == b""
    await asyncio.sleep(0.02)
    assert replies(transport.written)[0].status == 429


async def test_the_same_seed_gives_the_same_answers() -> None:
    def answers(seed: int) -> list[str]:
        made = simulator(seed=seed, answer_tokens=LogNormal(50.0, 0.5))
        return [ask(made).json["choices"][0]["message"]["content"] for _ in range(10)]

    assert answers(1) == answers(1)
    assert answers(1) != answers(2)


async def test_statistics_can_be_asked_for_and_begun_anew() -> None:
    made = simulator()
    ask(made)
    stats = ask(made, method="GET", path="/simulator/stats").json
    assert (stats["wire"], stats["requests"], stats["answered"]) == ("kimi", 1, 1)
    assert stats["accounts"][account_name(KEY)]["max_in_flight"] == 1
    assert KEY not in str(stats)
    assert ask(made, method="DELETE", path="/simulator/stats").status == 200
    assert ask(made, method="GET", path="/simulator/stats").json["requests"] == 0


async def test_settings_can_be_put_and_keys_stay() -> None:
    made = simulator(api_keys=frozenset({KEY}), latency=SLOW)
    still = {"firstToken": {"median": "0s"}, "perToken": {"median": "0s"}}
    put = ask(
        made,
        {"requestsPerMinute": 1, "latency": still},
        method="PUT",
        path="/simulator/settings",
    )
    assert put.status == 200
    assert put.json["requestsPerMinute"] == 1
    assert ask(made).status == 200
    assert ask(made).status == 429
    assert ask(made, key="other").status == 401


async def test_settings_that_are_wrong_change_nothing() -> None:
    made = simulator(limits=Limits(requests_per_minute=5))
    before = made.settings
    reply = ask(made, {"concurrency": 0, "nope": 1}, method="PUT", path="/simulator/settings")
    assert reply.status == 422
    assert {tuple(problem["loc"]) for problem in reply.json["problems"]} == {
        ("concurrency",),
        ("nope",),
    }
    assert made.settings is before


@pytest.mark.parametrize("peer", ["10.1.2.3", "", "fe80::1"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/simulator/stats"), ("DELETE", "/simulator/stats"), ("PUT", "/simulator/settings")],
)
async def test_it_is_steered_from_its_own_machine_only(peer: str, method: str, path: str) -> None:
    assert ask(simulator(), {"seed": 1}, method=method, path=path, peer=peer).status == 403


async def test_accounts_are_bounded_and_busy_ones_stay() -> None:
    made = simulator(latency=SLOW)
    client(made)[0].data_received(request(chat(), key="busy"))
    made.configure(Settings())
    for number in range(_MAX_ACCOUNTS + 5):
        made._account(f"account {number}", "kimi-k2.6")
    assert len(made.stats()["accounts"]) == _MAX_ACCOUNTS
    assert account(made, "busy")["in_flight"] == 1
