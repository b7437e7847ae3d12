from __future__ import annotations

from typing import Any

import pytest

from mcp_gateway.config.yaml_text import MAX_BYTES, Unreadable, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("+4", 4),
        ("2.5", 2.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("text", "text"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("|\n    1\n", "1\n"),
    ],
)
def test_scalars_have_the_types_of_json(text: str, value: Any) -> None:
    found = read_yaml(f"a: {text}").data["a"]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "word", ["010", "08", "1_000", "0x1f", "1:30", "2026-01-01", "on", "Off", "yes", "n"]
)
def test_what_only_some_readers_take_for_a_number_or_boolean_is_text(word: str) -> None:
    assert read_yaml(f"a: {word}").data["a"] == word


def test_bare_words_that_others_take_for_booleans_are_noted() -> None:
    tree = read_yaml('on: [yes, "no", of]\n"off": Off\n')

    assert tree.words == {("on",): "on", ("on", 0): "yes", ("off",): "Off"}


def test_each_part_has_its_line() -> None:
    tree = read_yaml("# first\na:\n  b: 1\n  c:\n  - x\n  - y: 2\n")

    assert tree.data == {"a": {"b": 1, "c": ["x", {"y": 2}]}}
    assert tree.lines[("a",)] == 2
    assert tree.lines["a", "b"] == 3
    assert tree.lines["a", "c", 1] == 6
    assert tree.lines["a", "c", 1, "y"] == 6


def test_json_is_read_too() -> None:
    assert read_yaml('{"a": [1, "b", null, true], "c": {"d": 1.5}}').data == {
        "a": [1, "b", None, True],
        "c": {"d": 1.5},
    }


def test_bytes_are_utf_8_with_or_without_a_mark() -> None:
    assert read_yaml("a: ü".encode()).data == {"a": "ü"}
    assert read_yaml("a: ü".encode("utf-8-sig")).data == {"a": "ü"}
    assert read_yaml("\ufeffa: ü").data == {"a": "ü"}


def test_a_key_given_twice_is_a_problem_with_both_lines() -> None:
    tree = read_yaml("a: 1\nb:\n  c: 1\n  c: 2\n")

    (problem,) = tree.problems
    assert str(problem) == "line 4: b.c: given twice, first in line 3"
    assert tree.data["b"] == {"c": 1}


def test_a_key_that_is_no_text_is_a_problem() -> None:
    tree = read_yaml("? [a, b]\n: 1\nc: 2\n")

    assert [problem.message for problem in tree.problems] == ["a key that is a list or mapping"]
    assert tree.data == {"c": 2}


@pytest.mark.parametrize("word", [".nan", ".NaN", ".inf", "-.inf", "1e999"])
def test_numbers_are_finite(word: str) -> None:
    tree = read_yaml(f"a: {word}")

    assert [str(problem) for problem in tree.problems] == [
        f"line 1: a: {word} is not a number; expected a finite number"
    ]


def test_anchors_are_expanded() -> None:
    assert read_yaml("a: &x {b: 1}\nc: *x\n").data == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("a: 1\n---\nb: 2\n", "line 2: more than one document"),
        ("a: [1\n", "not YAML"),
        ("a: b: c", "line 1: not YAML"),
        ("a: *unknown", "not YAML"),
        ("a: \x01", "not YAML"),
        ("a: !!python/object/new:os.system [id]", "the tag"),
        ("a: !local 1", "the tag"),
        ("[" * 100_000, "nested too deep"),
        ("- " * 1_000 + "a", "nested too deep"),
        ("a: &a [*a]", "too many parts"),
        ("- a\n" * 60_000, "too many parts"),
        ("a" * (MAX_BYTES + 1), "too large"),
        (b"a: 1\nb: \xff", "line 2: not UTF-8"),
    ],
)
def test_what_can_not_be_read_ends_early_with_its_line(text: str | bytes, message: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_yaml(text)

    assert message in str(refused.value.problem)


def test_a_bomb_of_anchors_is_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(Unreadable, match="too many parts"):
        read_yaml("\n".join(lines))
