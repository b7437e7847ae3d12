from __future__ import annotations

import io
import json

import pytest

from mcp_gateway.cli import terminal


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


def test_results_and_words_go_to_different_streams(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.out("result")
    terminal.out_json({"a": "ü"})
    terminal.say("words")
    terminal.complain("wrong", "do this")

    out, err = capsys.readouterr()
    assert out == 'result\n{"a": "ü"}\n'
    assert err == "words\nerror: wrong\nhint:  do this\n"


def test_colour_is_for_terminals() -> None:
    assert terminal.paint("x", "red", Screen()) == "\x1b[31mx\x1b[0m"
    assert terminal.paint("x", "red", io.StringIO()) == "x"


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_declined(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)

    assert terminal.paint("x", "red", Screen()) == "x"


def test_an_empty_no_color_declines_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")

    assert terminal.coloured(Screen())


def test_json_cannot_drive_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.out_json({"a": "\x1b\x7f\x9b2J"})

    out = capsys.readouterr().out
    assert out.strip().isprintable()
    assert json.loads(out) == {"a": "\x1b\x7f\x9b2J"}


def test_outside_text_cannot_drive_a_terminal() -> None:
    hostile = "a\x1b[2Jb\x07\x9bc\r\n\td\x7f"

    assert terminal.printable(hostile, Screen()) == "a[2Jbc\n\td"
    assert terminal.printable(hostile, io.StringIO()) == hostile


def test_a_table_has_columns() -> None:
    lines = terminal.table(("A", "LONG"), [("one", "x"), ("2", "y\nz")], io.StringIO())

    assert lines.split("\n") == ["A    LONG", "one  x", "2    y z"]


def test_a_table_without_rows_is_its_headings() -> None:
    assert terminal.table(("A", "B"), [], io.StringIO()) == "A  B"


def test_on_a_terminal_the_last_column_is_wrapped() -> None:
    text = terminal.table(("A", "B"), [("one", "word " * 40)], Screen())

    lines = text.split("\n")
    assert len(lines) > 2
    assert all(len(line) <= 80 for line in lines[1:])
    assert all(line.startswith("     word") for line in lines[2:])


def test_off_a_terminal_nothing_is_wrapped() -> None:
    assert len(terminal.table(("A", "B"), [("1", "word " * 40)], io.StringIO()).split("\n")) == 2


def test_fields_line_up() -> None:
    assert terminal.fields({"a": 1, "long": "x"}) == "  a     1\n  long  x"
    assert terminal.fields({}) == ""


def test_json_stays_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.out_json({"text": "a\nb", "odd": {1}.__class__})

    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out)["text"] == "a\nb"
