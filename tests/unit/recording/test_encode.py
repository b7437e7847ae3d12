from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from mcp_gateway.recording.encode import RecordEncoder
from mcp_gateway.recording.record import Record
from mcp_gateway.recording.redact import UNREADABLE, Redactor


def encoded(record: Record, **settings: Any) -> dict[str, Any]:
    row = RecordEncoder(**settings)(record)
    assert (row.id, row.started) == (record.id, record.started)
    body: dict[str, Any] = json.loads(row.body)
    return body


def test_bodies_become_json_inside_the_record() -> None:
    body = encoded(
        Record("a", 1.0, request=b'{"m": [1]}', response=msgspec.Raw(b"[2]")), gateway="pod-1"
    )
    assert (body["request"], body["response"], body["gateway"]) == ({"m": [1]}, [2], "pod-1")


def test_fields_become_one_request() -> None:
    fields = {"model": msgspec.Raw(b'"k"'), "messages": msgspec.Raw(b"[]")}
    assert encoded(Record("a", 1.0, request=fields))["request"] == {"model": "k", "messages": []}


def test_events_become_one_response() -> None:
    body = encoded(Record("a", 1.0, events=[b'{"choices":[{"delta":{"content":"hi"}}]}']))
    assert body["response"]["choices"][0]["message"]["content"] == "hi"
    assert "events" not in body


@pytest.mark.parametrize("body", [b"not json", b"{", b'{"a": "\xff"}', b'"\\ud800"', b""])
def test_what_is_no_json_is_kept_as_text(body: bytes) -> None:
    assert encoded(Record("a", 1.0, request=body))["request"] == body.decode("utf-8", "replace")


def test_half_a_surrogate_pair_does_not_cost_the_record() -> None:
    assert encoded(Record("a", 1.0, client="x\ud800y"))["client"] == "x?y"


def test_bodies_and_error_messages_are_redacted() -> None:
    redact = Redactor(expressions=[("secret", "[gone]")])
    record = Record("a", 1.0, request=b'"secret"', events=[b"secret"], error_message="a secret")
    body = encoded(record, redact=redact)
    assert "secret" not in json.dumps(body)
    assert body["error_message"] == "a [gone]"


def test_what_a_stream_broke_off_in_is_not_kept_where_a_place_is_to_be_taken_out() -> None:
    redact = Redactor(paths=[("choices[*].message.content", "[gone]")])
    events = [
        b'{"choices":[{"delta":{"content":"secret"}}]}',
        rb'{"choices":[{"delta":{"content":"secret \ud83d"}}]}',
        b'{"choices":[{"delta":{"content":"secret',
    ]
    body = encoded(Record("a", 1.0, events=events), redact=redact)
    assert "secret" not in json.dumps(body)
    assert body["response"]["choices"][0]["message"]["content"] == "[gone]"


@pytest.mark.parametrize("redact", [None, Redactor(expressions=[("secret", "[gone]")])])
def test_content_nested_too_deep_does_not_cost_the_record(redact: Redactor | None) -> None:
    chunk = b'{"choices":[{"delta":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}]}"
    deep = b"[" * 50_000 + b"]" * 50_000
    body = encoded(Record("a", 1.0, events=[chunk], request=deep), redact=redact)
    assert body["response"] == UNREADABLE


def test_hashed_client_is_the_same_each_time_and_says_no_name() -> None:
    encode = RecordEncoder(hash_key=b"key")
    first, second, other = (
        json.loads(encode(Record("a", 1.0, client=name)).body)["client"]
        for name in ("alice", "alice", "bob")
    )
    assert first == second != other
    assert first.startswith("hmac:")
    assert "alice" not in first
    assert json.loads(RecordEncoder(hash_key=b"2")(Record("a", 1.0, client="alice")).body)[
        "client"
    ] not in {first, "alice"}


def test_an_error_about_a_client_says_no_name_either() -> None:
    record = Record("a", 1.0, client="al", error_message="client 'al' is over its rate, alas")
    body = encoded(record, hash_key=b"key")
    assert body["error_message"] == f"client {body['client']!r} is over its rate, alas"


def test_many_client_names_do_not_fill_the_memory() -> None:
    encode = RecordEncoder(hash_key=b"key")
    for number in range(5000):
        encode(Record("a", 1.0, client=str(number)))
    assert len(encode._hashes) <= 4096


def test_what_json_cannot_say_is_an_error() -> None:
    with pytest.raises((TypeError, ValueError)):
        RecordEncoder()(Record("a", 1.0, client=object()))  # type: ignore[arg-type]
