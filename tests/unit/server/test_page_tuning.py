from __future__ import annotations

from typing import Any

import pytest

from mcp_gateway.server.page_tuning import ceilings, operator, rates, silence, standing

EVIL = "<script>alert(1)</script>"
CHANGES = [
    {"at": 1_700_000_000.0, "ceiling": 52, "reason": f"14 refusals {EVIL}"},
    {"at": 1_699_999_990.0, "ceiling": None, "reason": ""},
]


def test_nothing_is_said_where_the_document_counts() -> None:
    assert standing({"standing": "document"}) == standing({}) == rates({}) == ceilings({}) == ""
    assert operator(None) == ""
    assert list(silence(None)) == []


@pytest.mark.parametrize(
    ("tuning", "said"),
    [
        ({"standing": "nothing"}, "waits for a grant"),
        ({"standing": "bootstrap", "silent": True}, "no operator"),
        ({"standing": "grant"}, "by the operator"),
        ({"standing": "grant", "silent": True}, "operator silent"),
        ({"standing": "grant", "peers": 1}, "1 other pod holds slots"),
        ({"standing": "grant", "peers": 7}, "7 other pods hold slots"),
    ],
)
def test_by_whose_word_it_is_used_is_said_in_words(tuning: dict[str, Any], said: str) -> None:
    assert said in standing(tuning)


def test_the_reasons_are_told_with_their_time_and_escaped() -> None:
    text = ceilings({"ceilings": [{"model": EVIL, "ceiling": 52, "changes": CHANGES}]})
    assert EVIL not in text
    assert "22:13:20" in text
    assert "14 refusals &lt;script" in text
    assert "no reason given" in text


def test_a_ceiling_that_nobody_knows_is_said_to_be_so() -> None:
    assert "not known yet" in ceilings({"ceilings": [{"model": "", "ceiling": None}]})


def test_rates_show_what_is_used_and_who_waits() -> None:
    text = rates({"rates": {"requests": {"limit": 120, "used": 120, "waiting": 3}}})
    assert "<b>120</b> of 120 · 3 waiting" in text
    assert 'class="bar full"' in text
    assert 'width="0.0"' in rates({"rates": {"tokens": {"limit": 0, "used": 0}}})


def test_the_operator_is_told_of_as_it_was_heard() -> None:
    told = {"connected": True, "epoch": 4, "sequence": 7, "heardSecondsAgo": 3.2}
    assert operator(told) == "operator connected · heard 3 s ago"
    assert "grant 4.7 10 min ago" in operator({**told, "grantSecondsAgo": 600.0})
    assert list(silence(told)) == []
    assert list(silence({"connected": False})) == ["No operator has connected yet"]
    (gone,) = silence({"connected": False, "heardSecondsAgo": 41.0})
    assert "41 s ago" in gone
