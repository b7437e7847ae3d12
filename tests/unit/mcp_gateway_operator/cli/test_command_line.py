"""The command line as a whole: what it says, where, and with which exit status."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mcp_gateway import __version__
from mcp_gateway_operator import cli
from mcp_gateway_operator.cli import arguments


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cluster to be found by accident."""
    for name in [name for name in os.environ if name.startswith("KUBE")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_without_a_command_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == cli.WRONG
    said = capsys.readouterr()
    assert said.out == ""
    for command in ("run", "status", "render", "diff"):
        assert command in said.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == cli.OK
    assert capsys.readouterr().out == f"mcp-gateway-operator {__version__}\n"


@pytest.mark.parametrize("command", ["run", "status", "render", "diff"])
def test_every_command_has_help_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--help"]) == cli.OK
    said = capsys.readouterr().out
    assert "examples:" in said
    assert "exit status" in said


@pytest.mark.parametrize(
    "given", [["rnder"], ["render"], ["render", "--js", "x"], ["run", "--workers", "0"]]
)
def test_wrong_usage_ends_with_a_hint(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(given) == cli.WRONG
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "--help" in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--workers", "many", "expected a whole number of at least 1, not 'many'"),
        ("--resync", "-5", "expected a whole number of at least 1, not '-5'"),
        ("--tuning-interval", "fast", "expected seconds, 0.05 to 60, not 'fast'"),
        ("--tuning-interval", "nan", "expected seconds, 0.05 to 60, not 'nan'"),
    ],
)
def test_a_wrong_value_is_answered_with_the_right_form(
    option: str, value: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", f"{option}={value}"]) == cli.WRONG
    assert capsys.readouterr().err.splitlines()[0] == f"error: argument {option}: {told}"


@pytest.mark.parametrize(("command", "status"), [("status", 1), ("run", 1)])
def test_without_a_cluster_it_says_what_it_looked_for(
    command: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command]) == status
    assert "--kubeconfig" in capsys.readouterr().err


def test_diff_without_a_cluster_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "{apiVersion: gateway.exai.dev/v1alpha1, kind: MCPGateway, metadata: {name: a},"
        " spec: {providers: [{name: s, type: simulator}]}}"
    )
    assert cli.main(["diff", str(file)]) == 2
    assert "no API server" in capsys.readouterr().err


def test_a_kubeconfig_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status", "--kubeconfig", str(tmp_path / "none")]) == cli.FAILED
    assert str(tmp_path / "none") in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "status"), [(KeyboardInterrupt, cli.INTERRUPTED), (BrokenPipeError, 141)]
)
def test_an_interrupt_and_a_closed_pipe(
    raised: type[BaseException], status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parser() -> arguments.Parser:
        raise raised

    monkeypatch.setattr(arguments, "parser", parser)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    assert cli.main([]) == status
