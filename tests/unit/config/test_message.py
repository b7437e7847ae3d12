from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from mcp_gateway.api import MCPGateway
from mcp_gateway.api.fields import DOCUMENT, RE2, Duration, Model
from mcp_gateway.config.message import closest, describe, findings, known_keys, unknown


class Leaf(Model):
    count: int = 0
    kind: str = "a"


class Root(Model):
    leaf: Leaf = Leaf()
    by_name: dict[str, Leaf] = {}  # noqa: RUF012 - pydantic copies it
    some: list[Leaf] = []  # noqa: RUF012 - pydantic copies it
    wait: Duration = 1.0
    pattern: RE2 | None = None
    value: RE2 | None = None


class Coded(BaseModel):
    code: Annotated[str, Field(pattern="^x$")]


def told(data: Any, model: type[BaseModel] = Root) -> list[tuple[str, str, str]]:
    try:
        model.model_validate(data, context={DOCUMENT: True}, by_alias=True, by_name=False)
    except ValidationError as exc:
        return [
            (".".join(map(str, found.loc)), found.message, found.expected)
            for found in findings(model, exc.errors())
        ]
    return []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"leaf": {"count": "1"}}, ("leaf.count", "got text", "a whole number")),
        ({"leaf": {"count": 1.5}}, ("leaf.count", "got 1.5", "a whole number")),
        ({"leaf": {"count": True}}, ("leaf.count", "got true", "a whole number")),
        ({"leaf": {"count": None}}, ("leaf.count", "got null", "a whole number")),
        ({"leaf": {"count": [1]}}, ("leaf.count", "got a list", "a whole number")),
        ({"leaf": {"kind": {"a": 1}}}, ("leaf.kind", "got a mapping", "text")),
        ({"leaf": "x"}, ("leaf", "got text", "a mapping with count, kind")),
        ({"some": {"a": 1}}, ("some", "got a mapping", "a list")),
        ({"byName": [1]}, ("byName", "got a list", "a mapping")),
        (
            {"byName": {"x": {"cuont": 1}}},
            ("byName.x.cuont", "unknown field; did you mean count?", "one of count, kind"),
        ),
        ({"some": [{}, {"zzz": 1}]}, ("some.1.zzz", "unknown field", "one of count, kind")),
        ({"wait": "soon"}, ("wait", 'got "soon"', "a duration such as 500ms, 30s or 1h30m")),
    ],
)
def test_an_error_says_what_was_given_and_what_is_expected(
    data: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert told(data) == [expected]


def test_an_expression_is_shown_with_what_is_wrong_in_it() -> None:
    ((_, message, expected),) = told({"pattern": "a("})

    assert message.startswith('"a(" is not an RE2 expression: missing )')
    assert "look-around" in expected


@pytest.mark.parametrize(
    "data", [{"value": "secret("}, {"pattern": "user:secret@("}, {"pattern": "secret" * 20 + "("}]
)
def test_what_may_be_a_secret_is_not_shown(data: dict[str, Any]) -> None:
    ((_, message, _),) = told(data)

    assert message.startswith("the text given is not an RE2 expression")


@pytest.mark.parametrize(
    ("spec", "message", "expected"),
    [
        ({"providers": []}, "is too short", "at least one entry"),
        ({"middleware": [""]}, "is too short", "at least one character"),
        ({"middleware": ["a"] * 40}, "is too long", "at most 32 entries"),
        ({"image": "a" * 2000}, "is too long", "at most 1,024 characters"),
        ({"replicas": -1}, "-1 is too small", "at least 0"),
        ({"replicas": 2000}, "2000 is too large", "at most 1000"),
        ({"logging": {"level": 3}}, "3 is not known", "one of debug, info, warning, error"),
        ({"logging": {"level": ""}}, '"" is not known', "one of debug, info, warning, error"),
        ({"server": {"path": "x"}}, '"x" is not of the right form', "a path such as /mcp"),
    ],
)
def test_bounds_and_choices(spec: dict[str, Any], message: str, expected: str) -> None:
    base = {"providers": [{"name": "kimi", "type": "simulator"}]}

    (found,) = told({"spec": {**base, **spec}}, MCPGateway)

    assert found[1:] == (message, expected)


def test_an_error_of_another_kind_keeps_its_words() -> None:
    class Odd(BaseModel):
        items: set[int]

    ((_, message, expected),) = told({"items": 1}, Odd)

    assert (message, expected) == ("Input should be a valid set", "")


def test_a_pattern_without_words_is_shown() -> None:
    ((_, _, expected),) = told({"code": "y"}, Coded)

    assert expected == "text that matches ^x$"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("max_connections", "maxConnections"),
        ("MAXCONNECTIONS", "maxConnections"),
        ("maxConnection", "maxConnections"),
        ("zebra", ""),
    ],
)
def test_the_closest_word_is_guessed(word: str, meant: str) -> None:
    assert closest(word, ["minConnections", "maxConnections", "idleTimeout"]) == meant


def test_an_unknown_word_without_choices_has_no_expectation() -> None:
    assert unknown("no provider", "x", []) == ("no provider", "")


def test_the_schema_can_be_asked_what_belongs_where() -> None:
    provider = ("spec", "providers", 0)

    assert "maxConnections" in known_keys(MCPGateway, (*provider, "pool"))
    assert known_keys(MCPGateway, (*provider, "name")) == []
    assert known_keys(MCPGateway, ("spec", "nothing", "here")) == []
    assert describe(MCPGateway, (*provider, "type")) == "one of kimi, glm, openai, simulator"
    assert describe(MCPGateway, (*provider, "prices", "kimi-k3", "input")) == "a number"
    assert describe(MCPGateway, ("spec", "podTemplate", "x")) == ""
    assert describe(MCPGateway, ("spec", "middleware", 0)) == "text"
