from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from mcp_gateway.errors import INVALID_REQUEST, PARSE_ERROR
from mcp_gateway.protocol.jsonrpc import (
    EMPTY,
    MAX_ID_LENGTH,
    MAX_INTEGER,
    Id,
    Message,
    MessageType,
    Notification,
    Rejected,
    Reply,
    Request,
    colons_outside,
    decode,
    in_bounds,
    repeats_member,
)

PLAIN = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"chat"}}'


def rejected(body: bytes, code: int) -> Rejected:
    message = decode(body)
    assert isinstance(message, Rejected), message
    assert message.error.rpc_code == code
    assert message.error.http_status == message.status == 400
    return message


def request(body: bytes) -> Request:
    message = decode(body)
    assert isinstance(message, Request), message
    return message


def test_the_message_types_are_the_four_words_of_records_and_metrics() -> None:
    assert [str(kind) for kind in MessageType] == ["request", "response", "notification", "error"]


def test_a_request_keeps_its_parameters_as_they_came() -> None:
    message = request(PLAIN)
    assert (message.id, message.method) == (7, "tools/call")
    assert bytes(message.params) == b'{"name":"chat"}'


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(PLAIN.replace(b",", b"  ,\n\t"), id="white space"),
        pytest.param(b'{"params":{"name":"chat"},"method":"m","id":7,"jsonrpc":"2.0"}', id="order"),
        pytest.param(PLAIN[:-1] + b',"trace":{"a":1}}', id="an unknown member"),
        pytest.param(b'{"jsonrpc":"2.0","\\u0069d":7,"method":"m","params":{}}', id="escaped name"),
        pytest.param(b'{"jsonrpc":"2.0","id":7,"method":"m"}', id="no parameters"),
        pytest.param(b'{"jsonrpc":"2.0","id":7,"method":"m","params":null}', id="null parameters"),
        pytest.param(b'{"jsonrpc":"2.0","id":7,"method":"m","params":{},"result":1}', id="result"),
        pytest.param(b'{"jsonrpc":"2.0","id":7,"method":"a:b","params":{}}', id="colon in method"),
    ],
)
def test_a_request_may_be_written_in_any_way(body: bytes) -> None:
    assert request(body).id == 7


@pytest.mark.parametrize("params", [b"", b',"params":null', b',"params":{}'])
def test_parameters_that_were_not_given_are_an_empty_object(params: bytes) -> None:
    message = request(b'{"jsonrpc":"2.0","id":1,"method":"m"' + params + b"}")
    assert bytes(message.params) == bytes(EMPTY) == b"{}"


IDS: list[tuple[bytes, Id]] = [
    (b"0", 0),
    (b"-1", -1),
    (b"9223372036854775807", MAX_INTEGER),
    (b"-9223372036854775807", -MAX_INTEGER),
    (b'""', ""),
    (b'"7"', "7"),
    (b'"a:b"', "a:b"),
    (b'"{"', "{"),
    ('"世\\u4e16\\ud83d\\ude00"'.encode(), "世世😀"),
    (b'"\\"params\\":{}"', '"params":{}'),
    (b'"' + b"x" * MAX_ID_LENGTH + b'"', "x" * MAX_ID_LENGTH),
]


@pytest.mark.parametrize(("text", "value"), IDS)
@pytest.mark.parametrize("params", [b"", b',"params":{"a":"b:c"}'])
def test_an_id_is_a_string_or_an_integer(text: bytes, value: Id, params: bytes) -> None:
    message = request(b'{"jsonrpc":"2.0","id":' + text + b',"method":"m"' + params + b"}")
    assert message.id == value
    assert type(message.id) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        b"null",
        b"true",
        b"false",
        b"1.0",
        b"1.5",
        b"1e3",
        b"{}",
        b"[]",
        b"9223372036854775808",
        b"-9223372036854775808",
        b"9" * 400,
        b"9" * 5000,
        b'"' + b"x" * (MAX_ID_LENGTH + 1) + b'"',
    ],
)
@pytest.mark.parametrize("params", [b"", b',"params":{}'])
def test_any_other_id_is_refused_and_not_repeated(text: bytes, params: bytes) -> None:
    body = b'{"jsonrpc":"2.0","id":' + text + b',"method":"m"' + params + b"}"
    assert rejected(body, INVALID_REQUEST).id is None


def test_a_message_without_an_id_is_a_notification() -> None:
    body = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    assert decode(body) == Notification("notifications/initialized", EMPTY)
    message = decode(b'{"jsonrpc":"2.0","method":"m","params":{"a":1}}')
    assert isinstance(message, Notification)
    assert bytes(message.params) == b'{"a":1}'


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', Reply(1, MessageType.RESPONSE)),
        (b'{"jsonrpc":"2.0","id":"a","result":null}', Reply("a", MessageType.RESPONSE)),
        (b'{"jsonrpc":"2.0","id":1,"error":{"code":1}}', Reply(1, MessageType.ERROR)),
        (b'{"jsonrpc":"2.0","id":null,"error":{}}', Reply(None, MessageType.ERROR)),
    ],
)
def test_a_peer_may_answer(body: bytes, reply: Reply) -> None:
    assert decode(body) == reply


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0"}',
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":{},"error":{}}',
        b'{"jsonrpc":"2.0","id":1,"params":{}}',
    ],
)
def test_an_object_that_is_no_kind_of_message_is_refused(body: bytes) -> None:
    rejected(body, INVALID_REQUEST)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":3,"method":"m"}',
        b'{"jsonrpc":"1.0","id":3,"method":"m"}',
        b'{"jsonrpc":2.0,"id":3,"method":"m"}',
        b'{"jsonrpc":"2.0","id":3,"method":5}',
        b'{"jsonrpc":"2.0","id":3,"method":null}',
        b'{"jsonrpc":"2.0","id":3,"method":"m","params":[]}',
        b'{"jsonrpc":"2.0","id":3,"method":"m","params":"x"}',
        b'{"jsonrpc":"2.0","id":3,"method":"m","params":5}',
        b'{"jsonrpc":"2.0","id":3,"method":"m","params":{},"method":"n"}',
        b'{"method":5,"jsonrpc":"2.0","id":3}',
    ],
)
def test_a_bad_envelope_is_answered_to_its_id(body: bytes) -> None:
    assert rejected(body, INVALID_REQUEST).id == 3


@pytest.mark.parametrize("body", [b"[]", b'[{"jsonrpc":"2.0","id":1,"method":"m"}]', b" \n[1]"])
def test_a_batch_is_refused_as_a_whole(body: bytes) -> None:
    message = rejected(body, INVALID_REQUEST)
    assert message.id is None
    assert "batch" in str(message.error)


@pytest.mark.parametrize("body", [b"1", b'"x"', b"null", b"true", b"1.5"])
def test_json_that_is_no_object_is_no_message(body: bytes) -> None:
    assert rejected(body, INVALID_REQUEST).id is None


@pytest.mark.parametrize(
    "value",
    [
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"1e",
        b"-",
        b"tru",
        b"'a'",
        b"{a:1}",
        b'{"a":1,}',
        b"[1,]",
        b"[1 2]",
        b'{"a" 1}',
        b'"\x00"',
        b'"\n"',
        b'"\\q"',
        b'"\\u12"',
        b'"\\ud800"',
        b'"\\ud800abcdefgh"',
        b'"\\udc00abcdefgh"',
        b'"\\ud800\\u0041abcdefgh"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        b"/* */1",
        b"",
    ],
)
def test_what_is_not_json_is_refused_wherever_it_stands(value: bytes) -> None:
    for body in (
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":' + value + b"}}",
        b'{"jsonrpc":"2.0","id":1,"method":"m","x":' + value + b"}",
        value,
    ):
        message = rejected(body, PARSE_ERROR)
        assert message.id is None


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", PLAIN[:-1], PLAIN + b"}", PLAIN + PLAIN, b"\xef\xbb\xbf" + PLAIN, b"\0"]
    + [PLAIN.decode().encode(encoding) for encoding in ("utf-16", "utf-32", "utf-16-le")],
)
def test_what_is_not_one_json_text_in_utf8_is_refused(body: bytes) -> None:
    rejected(body, PARSE_ERROR)


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_bottomless_nesting_is_refused(opening: bytes, closing: bytes) -> None:
    depth = 100_000
    nested = opening * depth + b"1" + closing * depth
    message = rejected(
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":' + nested + b"}}", PARSE_ERROR
    )
    assert "nested" in str(message.error)


def test_a_number_too_large_for_a_float_is_passed_on_untouched() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1e999}}'
    assert bytes(request(body).params) == b'{"a":1e999}'


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"m","params":{}}',
        b'{"jsonrpc":"2.0","id":1,"id":2,"method":"m","params":{}}',
        b'{"jsonrpc":"2.0","id":1,"\\u0069d":2,"method":"m","params":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":"m","method":"m","params":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1},"params":{"a":1}}',
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1},"params":{"b":{}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":{},"x":1,"x":2}',
        b'{"jsonrpc":"2.0","id":"a:b","method":"m","params":{},"id":"a:b"}',
        b'{"jsonrpc":"2.0","method":"m","params":{},"params":{}}',
        b'{"jsonrpc":"2.0","id":1,"method":"m","params":{},"a\\u003a":1,"method":"m"}',
    ],
)
def test_a_repeated_member_is_refused(body: bytes) -> None:
    assert "repeated" in str(rejected(body, INVALID_REQUEST).error)


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        (0, True),
        (MAX_INTEGER, True),
        (MAX_INTEGER + 1, False),
        (-MAX_INTEGER - 1, False),
        ("", True),
        ("x" * MAX_ID_LENGTH, True),
        ("x" * (MAX_ID_LENGTH + 1), False),
    ],
)
def test_ids_have_bounds(value: Id, fits: bool) -> None:
    assert in_bounds(value) is fits


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"a":1}',
        b'{"a":1,"b":{"a":1,"a":2}}',
        b'{"a":":","b":"\\":"}',
        b'{"a:b":1,":":2}',
        b'{"a\\\\":1,"b":2}',
        b'{ "a" : 1 , "b" : [ { "c" : 2 } ] }',
    ],
)
def test_an_object_whose_names_differ_repeats_none(data: bytes) -> None:
    assert not repeats_member(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"a:":1,"a:":2}',
        b'{"a":{"b":1},"a":{}}',
        b'{"a":"::::","a":""}',
        b'{ "a" : 1 , "b" : 2 , "a" : 3 }',
    ],
)
def test_an_object_that_repeats_a_name_is_found(data: bytes) -> None:
    assert repeats_member(data)


def test_an_escaped_colon_in_a_name_counts_as_a_repetition() -> None:
    # It could hide one: the colon it adds to the names is not in the text.
    assert repeats_member(b'{"a\\u003a":1}')
    assert repeats_member(b'{"a\\u003a":1,"b":2,"b":3}')


def test_repetitions_are_found_in_random_objects() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    draw = random.Random(seed)
    for _ in range(3000):
        names = ["".join(draw.choices('ab:\\"', k=draw.randrange(3))) for _ in range(4)]
        pairs = [(name, draw.choice([1, ":", {"a": ":"}, [{"b": 1}], '"\\'])) for name in names]
        members = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs]
        data = "{" + ",".join(members) + "}"
        risky = any(":" in name for name in names) and any('"' in n or "\\" in n for n in names)
        if not risky:
            assert repeats_member(data.encode()) is (len(set(names)) < len(names)), data
        elif len(set(names)) < len(names):
            assert repeats_member(data.encode()), data


@pytest.mark.parametrize(
    ("data", "part", "colons"),
    [
        (b'{"a":{"b":1}}', b'{"b":1}', 1),
        (b'{"a":"{","b":{"c":1}}', b'{"c":1}', 2),
        (b'{"p":{"0123456789abcdef":1},"q":{"0123456789abcdef":2}}', b'{"0123456789abcdef":2}', 3),
        (b'{"a":1}', b"", 1),
    ],
)
def test_colons_are_counted_around_a_part(data: bytes, part: bytes, colons: int) -> None:
    assert colons_outside(data, part) == colons


Mutation = Callable[[random.Random, bytes], bytes]


def _flip(draw: random.Random, body: bytes) -> bytes:
    at = draw.randrange(len(body))
    return body[:at] + bytes([draw.randrange(256)]) + body[at + 1 :]


def _cut(draw: random.Random, body: bytes) -> bytes:
    first, last = sorted(draw.randrange(len(body)) for _ in range(2))
    return body[:first] + body[last:]


def _double(draw: random.Random, body: bytes) -> bytes:
    first, last = sorted(draw.randrange(len(body)) for _ in range(2))
    return body[:last] + body[first:]


def _swap(draw: random.Random, body: bytes) -> bytes:
    old = draw.choice([b"7", b'"2.0"', b'"chat"', b"{", b"}", b",", b":", b'"id"', b'"params"'])
    new = draw.choice([b"null", b"[]", b"{}", b"1e9", b'"id"', b'"\\ud800"', b"NaN", b"-0", b""])
    return body.replace(old, new, 1)


def test_no_mutation_of_a_message_raises_or_passes_for_what_it_is_not() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    draw = random.Random(seed)
    mutations: list[Mutation] = [_flip, _cut, _double, _swap]
    for _ in range(20_000):
        body = PLAIN
        for _ in range(draw.randrange(1, 4)):
            body = draw.choice(mutations)(draw, body) or PLAIN
        _check(body, decode(body))


def _check(body: bytes, message: Message | Rejected) -> None:
    """Compare with the standard library, which tells repeated names and reads the same JSON."""
    if isinstance(message, Rejected):
        assert message.error.rpc_code in {PARSE_ERROR, INVALID_REQUEST}
        return
    fields = json.loads(body, object_pairs_hook=list)
    assert len(dict(fields)) == len(fields), body
    known = dict(fields)
    assert known["jsonrpc"] == "2.0"
    if isinstance(message, Request):
        assert message.id == known["id"]
        assert message.method == known["method"]
