from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from mcp_gateway.cli import arguments


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    with pytest.raises(SystemExit) as caught:
        arguments.parser().parse(argv)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    inner = arguments.commands(parser)
    if not inner:
        yield parser
    for child in inner.values():
        yield from leaves(child)


def test_every_command_explains_itself() -> None:
    for parser in leaves(arguments.parser()):
        assert parser.description, parser.prog
        assert parser.get_default("execute") is not None, parser.prog
        for action in arguments.options(parser):
            assert action.help, f"{parser.prog} {action.dest}"


def test_top_commands_teach_by_examples() -> None:
    for name, parser in arguments.commands(arguments.parser()).items():
        teachers = [parser, *arguments.commands(parser).values()]
        assert any("examples:" in (teacher.epilog or "") for teacher in teachers), name


def test_help_fits_a_terminal() -> None:
    for parser in leaves(arguments.parser()):
        longest = max(parser.format_help().splitlines(), key=len)
        assert len(longest) <= 100, longest


def test_an_option_that_does_not_exist_is_answered_by_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    err = refused(capsys, "call", "--modle", "x", "Hello!")

    assert (
        err
        == "error: there is no '--modle'; did you mean --model?\nhint:  mcp-gateway call --help\n"
    )


def test_a_value_glued_to_an_option_does_not_hide_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean --model?" in refused(capsys, "call", "--modell=x", "Hello!")


def test_a_far_off_option_is_just_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no '--frobnicate'\n" in refused(capsys, "check", "f", "--frobnicate")


def test_one_argument_too_many_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no 'world'" in refused(capsys, "call", "hello", "world")


def test_a_command_that_does_not_exist_is_answered_by_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "there is no 'chek'; did you mean check?" in refused(capsys, "chek")


def test_a_command_far_off_gets_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there are run, check, call" in refused(capsys, "frobnicate")


def test_a_choice_that_does_not_exist_gets_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--wire: there is no 'claude'" in refused(capsys, "simulate", "--wire", "claude")


def test_abbreviations_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean --json?" in refused(capsys, "check", "f", "--jso")


def test_a_missing_argument_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "FILE" in refused(capsys, "check")


def test_both_ways_to_give_a_key_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    err = refused(capsys, "call", "--api-key", "x", "--api-key-file", "y", "Hello!")

    assert "not allowed with" in err
