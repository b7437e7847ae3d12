from __future__ import annotations

import pytest

from mcp_gateway import __version__, cli
from mcp_gateway.cli import crd
from mcp_gateway.errors import ConfigError


def failing(error: BaseException) -> object:
    def execute(args: object) -> int:
        raise error

    return execute


def run_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(crd, "execute", failing(error))
    return cli.main(["crd"])


def test_without_arguments_it_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert "mcp-gateway run" in err
    assert "examples:" in err


def test_a_group_without_its_command_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["keys"]) == 2
    assert "create" in capsys.readouterr().err


def test_help_and_version_are_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert "examples:" in capsys.readouterr().out
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"mcp-gateway {__version__}\n"


def test_wrong_usage_is_2() -> None:
    assert cli.main(["frobnicate"]) == 2


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("the document is wrong"), 2),
        (OSError(28, "No space left on device"), 1),
        (BrokenPipeError(), 141),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_end_has_its_status(
    error: BaseException,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_with(error, monkeypatch) == status
    assert "Traceback" not in capsys.readouterr().err


def test_what_went_wrong_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_with(ConfigError("the document is wrong"), monkeypatch)

    assert capsys.readouterr().err == "error: the document is wrong\n"


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError):
        run_with(AssertionError("a defect"), monkeypatch)
