from __future__ import annotations

import json

import pytest

from mcp_gateway.simulator import text


def said(prompt: str, length: int) -> str:
    tokens = text.compose(prompt, length)
    assert len(tokens) == length
    return str(json.loads(text.json_string(tokens)))


def test_an_answer_begins_with_what_was_said() -> None:
    assert said("Hello there!", 20).startswith("You said: “Hello there!”. That much I heard")


@pytest.mark.parametrize("length", range(4, 400))
def test_an_answer_ends_at_the_end_of_a_sentence(length: int) -> None:
    answer = said("Hello there!", length)
    assert answer.endswith(".")
    sentences = answer.removeprefix("You said: “Hello there!”.").strip().split(". ")
    assert all(sentence[0].isupper() for sentence in sentences if sentence)


def test_each_closing_sentence_has_its_length_and_none_is_missing() -> None:
    lengths = [len(sentence.split()) for sentence in text._LAST]
    assert lengths == list(range(1, len(lengths) + 1))
    assert len(lengths) >= max(len(sentence.split()) for sentence in text._PROSE) - 1


@pytest.mark.parametrize("length", [1, 2, 3, 7, 200, 5000])
def test_an_answer_has_its_length(length: int) -> None:
    said("one two three", length)


@pytest.mark.parametrize(
    "prompt", ["", "  \n ", '"\\\x00\x7f', "日本語 🎉", "a" * 9999, "</x> \r\n"]
)
def test_any_prompt_makes_good_json(prompt: str) -> None:
    assert said(prompt, 50).startswith("You said: “")


def test_a_long_prompt_is_cut() -> None:
    assert "…”" in said("x" * (text.ECHO_LIMIT + 1), 5)


def test_an_answer_shorter_than_its_echo_ends_too() -> None:
    assert said("one two three", 4) == "You said: “one two…”."
    assert said("one two three", 3) == "That is all."


def test_tokens_are_estimated_by_length() -> None:
    assert text.estimate_tokens(0) == 1
    assert text.estimate_tokens(400) == 100
