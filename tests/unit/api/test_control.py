from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from mcp_gateway.api.control import (
    MAX_PROBLEMS,
    MAX_UP,
    Ack,
    Config,
    Hello,
    Message,
    Ping,
    Pong,
    Probe,
    Probed,
    ProbeResult,
    Refused,
    Report,
    read_down,
    read_up,
)
from mcp_gateway.api.quota import MAX_TEXT
from mcp_gateway.errors import ProtocolError


@dataclass(frozen=True)
class Problem:
    path: str
    message: str
    expected: str = ""


DOWN: list[Message] = [
    Config(generation=3, epoch=2, document={"spec": {"replicas": None}}),
    Config(generation=3, epoch=2, document={}, takes_back=4),
    Probe(id="1", providers=["kimi", "glm"]),
    Ping(),
]
UP: list[Message] = [
    Hello(pod="web-1", version="1.0", generation=3, epoch=2),
    Ack(generation=3),
    Refused.because(3, [Problem("spec.routes", "is empty", "one")]),
    Probed(id="1", results=[ProbeResult(provider="kimi", state="Healthy")]),
    Report(requests=10, errors=1, since=1_700_000_000.5),
    Pong(),
]


@pytest.mark.parametrize("message", DOWN, ids=Message.encode)
def test_what_is_said_to_a_pod_is_read_there(message: Message) -> None:
    assert read_down(message.encode()) == message


@pytest.mark.parametrize("message", UP, ids=Message.encode)
def test_what_a_pod_says_is_read_by_the_operator(message: Message) -> None:
    assert read_up(message.encode()) == message


def test_names_travel_in_camel_case_and_what_is_not_said_is_left_out() -> None:
    config = Config(generation=1, epoch=1, document={"a": None}, takes_back=2)

    assert json.loads(config.encode()) == {
        "type": "config",
        "generation": 1,
        "epoch": 1,
        "document": {"a": None},
        "takesBack": 2,
    }
    assert "takesBack" not in Config(generation=1, epoch=1, document={}).encode()


def test_a_newer_peer_may_say_more() -> None:
    assert read_up('{"type":"hello","generation":1,"mood":"good"}') == Hello(generation=1)
    assert read_up('{"type":"confession","sins":[]}') is None
    assert read_down('{"type":"confession","share":5}') is None


def test_each_end_reads_its_own_messages_only() -> None:
    assert read_up(Ping().encode()) is None
    assert read_down(Pong().encode()) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"hello"',
        "{}",
        b"\xff\xfe",
        "[" * 100_000,
        '{"type":"ack"}',
        '{"type":"ack","generation":"1"}',
        '{"type":"ack","generation":-1}',
        '{"type":"ack","generation":1.5}',
        '{"type":"ack","generation":99999999999999999999}',
        '{"type":"hello","pod":null}',
        '{"type":"report","requests":1,"errors":0,"since":NaN}',
        '{"type":"probed","id":"1","results":[{"provider":"kimi","state":"Fine"}]}',
    ],
)
def test_what_is_no_message_is_an_error_and_is_not_repeated_at_length(text: str | bytes) -> None:
    with pytest.raises(ProtocolError, match="no message of the control channel") as caught:
        read_up(text)
    assert len(str(caught.value)) < 300


def test_a_refusal_fits_into_a_message_however_much_is_wrong() -> None:
    problems = [Problem(f"spec.{'x' * 9_999}", "é" * 9_999, "y" * 9_999)] * 1_000
    refused = Refused.because(1, problems)

    assert len(refused.problems) == MAX_PROBLEMS
    assert len(refused.problems[0].message) == MAX_TEXT
    assert len(refused.encode().encode()) < MAX_UP + 20_000


def test_a_refusal_reads_as_a_sentence() -> None:
    refused = Refused.because(
        2, [Problem("spec.server.prot", "unknown field", "port"), Problem("", "too big")]
    )

    assert str(refused) == "spec.server.prot: unknown field; expected port; too big"
