from __future__ import annotations

import json

import pytest

from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.redact import (
    PATTERNS,
    PLACELESS,
    UNREADABLE,
    Redactor,
    expressions,
    parse_path,
)


def redacted(redactor: Redactor, value: object) -> object:
    result: object = json.loads(redactor.body(json.dumps(value).encode()))
    return result


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("user", ("user",)),
        ("messages[*].content", ("messages", None, "content")),
        ("tools[0].function.name", ("tools", 0, "function", "name")),
        ("metadata.*", ("metadata", None)),
        ("a[1][2]", ("a", 1, 2)),
    ],
)
def test_path_is_read(path: str, steps: tuple[str | int | None, ...]) -> None:
    assert parse_path(path) == steps


@pytest.mark.parametrize("path", ["", "[0]", ".a", "a..b", "a[", "a[x]", "a b", "a[1", "a."])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="not a path"):
        parse_path(path)


def test_path_replaces_whatever_is_there() -> None:
    redactor = Redactor(
        paths=[("messages[*].content", "[gone]"), ("user", "[user]"), ("deep.list[1]", "x")]
    )
    before = {
        "messages": [{"role": "user", "content": "a"}, {"content": [{"text": "b"}]}, "odd"],
        "user": {"id": 7},
        "deep": {"list": [1]},
    }
    assert redacted(redactor, before) == {
        "messages": [{"role": "user", "content": "[gone]"}, {"content": "[gone]"}, "odd"],
        "user": "[user]",
        "deep": {"list": [1]},
    }


def test_star_takes_every_member() -> None:
    assert redacted(Redactor(paths=[("meta.*", "-")]), {"meta": {"a": 1, "b": [2]}}) == {
        "meta": {"a": "-", "b": "-"}
    }


def test_expression_works_on_texts_and_names_and_never_on_the_json() -> None:
    redactor = Redactor(expressions=[(r"secret.*", "[gone]"), (r"\d+", "#")])
    before = {"a": ["my secret\n", 42, None], "secret name": True, "b": {"c": "room 7"}}
    assert redacted(redactor, before) == {
        "a": ["my [gone]\n", 42, None],
        "[gone]": True,
        "b": {"c": "room #"},
    }


def test_no_spelling_of_a_character_hides_a_match() -> None:
    body = rb'{"a": "\u0073ecret"}'
    assert Redactor(expressions=[("secret", "[gone]")]).body(body) == b'{"a":"[gone]"}'


def test_replacement_is_taken_literally() -> None:
    assert Redactor(expressions=[("a(b)", r"\1\\")]).text("ab") == r"\1\\"


def test_what_is_no_json_is_one_text() -> None:
    redactor = Redactor(expressions=[("secret", "[gone]")])
    assert redactor.body(b"a secret \xff") == '"a [gone] \ufffd"'.encode()


@pytest.mark.parametrize("broken", [b'{"user": "secret', b'{"user": "secret"} x', b"secret"])
def test_nothing_is_kept_of_what_a_path_cannot_be_followed_in(broken: bytes) -> None:
    redactor = Redactor(paths=[("user", "[gone]")])
    assert json.loads(redactor.body(broken)) == PLACELESS


@pytest.mark.parametrize(
    "odd",
    [b"1e999999", b"9" * 5000, b"NaN", rb'"half \ud83d"', b'"\xff"', b'"\x01"'],
)
def test_no_oddity_beside_it_hides_a_place_or_a_match(odd: bytes) -> None:
    redactor = Redactor(paths=[("user", "[gone]")], expressions=[("secret", "[gone]")])
    body = rb'{"odd": %b, "user": "who", "s": "\u0073ecret"}' % odd
    found = json.loads(redactor.body(body))
    assert (found["user"], found["s"]) == ("[gone]", "[gone]")


def test_what_cannot_be_looked_into_is_not_kept() -> None:
    deep = b"[" * 50_000 + b"]" * 50_000
    assert json.loads(Redactor(expressions=[("a", "b")]).body(deep)) == UNREADABLE


def test_text_that_only_a_slow_engine_would_choke_on_is_quick() -> None:
    text = "a" * 50_000 + "!"
    assert Redactor(expressions=[("(a+)+$", "x")]).text(text) == text


def test_wrong_expression_is_refused() -> None:
    with pytest.raises(ConfigError, match="not an RE2 expression"):
        Redactor(expressions=[("(", "x")])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("keys", "sk-proj-abcdefghij0123456789"),
        ("keys", "mgw_" + "A" * 43),
        ("keys", "0123456789abcdef0123456789abcdef.ABCDefgh12345678"),
        ("keys", "AKIAIOSFODNN7EXAMPLE"),
        ("keys", "ghp_" + "a1" * 18),
        ("keys", "xoxb-1234567890-abc"),
        ("keys", "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYSJ9.c2lnbmF0dXJl"),
        ("keys", "Bearer abcdefghijklmnopqrstuvwxyz=="),
        ("keys", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
        ("emails", "jane.doe+news@mail.example.co.uk"),
        ("emails", "jürgen@bücher.example"),
        ("phones", "+49 30 901820"),
        ("phones", "+1 (415) 555-2671"),
        ("phones", "415-555-2671"),
        ("phones", "13812345678"),
    ],
)
def test_ready_made_expressions_find_the_usual_forms(name: str, text: str) -> None:
    redactor = Redactor(expressions=expressions(name, "[gone]"))
    assert redactor.text(f"it is {text}, yes") == "it is [gone], yes"


def test_ready_made_expressions_leave_ordinary_text_alone() -> None:
    redactor = Redactor(expressions=[pair for name in PATTERNS for pair in expressions(name, "x")])
    for text in ("a sk-etch", "10 + 20 = 30", "2026-01-31 12:00:00", "user at example dot com"):
        assert redactor.text(text) == text
