from __future__ import annotations

import io
import sys

import pytest

from mcp_gateway_operator.cli import terminal


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_results_and_words_go_to_different_streams(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.out("result")
    terminal.say("words")
    terminal.complain("wrong", "do this")
    out, err = capsys.readouterr()
    assert out == "result\n"
    assert err == "words\nerror: wrong\nhint:  do this\n"


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.paint("x", "red", Screen()) == "\x1b[31mx\x1b[0m"
    assert terminal.paint("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("TERM", "dumb")
    assert terminal.paint("x", "red", Screen()) == "x"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.paint("x", "red", Screen()) == "x"


def test_a_table_is_columns_with_a_dash_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    text = terminal.table(("NAME", "X"), [("a", ""), ("long one", "b")])
    assert text.splitlines() == ["NAME       X", "a          -", "long one   b"]
