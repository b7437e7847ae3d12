from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from mcp_gateway import cli

GOOD = """\
apiVersion: gateway.exai.dev/v1alpha1
kind: MCPGateway
spec:
  server: {host: 127.0.0.1}
  providers:
  - {name: kimi, type: simulator}
"""
BAD = GOOD.replace("host:", "hots:").replace("type: simulator", "type: simulatro")
WARNED = GOOD.replace("type: simulator", "type: kimi, apiKey: {value: sk-plain-secret}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.yaml"


def test_a_good_document_is_0(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(GOOD, encoding="utf-8")

    assert cli.main(["check", str(file)]) == 0

    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{file} is good\n"


def test_every_problem_has_its_place(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(BAD, encoding="utf-8")

    assert cli.main(["check", str(file)]) == 2

    out, err = capsys.readouterr()
    assert "spec.server.hots" in out
    assert "did you mean host?" in out
    assert "spec.providers[0].type" in out
    assert err == f"{file} has 2 problems\n"


def test_json_lists_problems(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(BAD, encoding="utf-8")

    assert cli.main(["check", str(file), "--json"]) == 2

    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["ok"] is False
    assert report["file"] == str(file)
    first = report["problems"][0]
    assert set(first) == {"severity", "path", "line", "message", "expected"}
    assert first["line"] == 4
    assert "settings" not in report
    assert err == ""


def test_warnings_do_not_fail(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(WARNED, encoding="utf-8")

    assert cli.main(["check", str(file)]) == 0

    out, err = capsys.readouterr()
    assert out.splitlines()[1].startswith("warning")
    assert "sk-plain-secret" not in out + err
    assert err == f"{file} is good, with 1 warning\n"


def test_explain_shows_what_is_in_force_and_why(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(GOOD, encoding="utf-8")

    assert cli.main(["check", str(file), "--explain"]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["spec.server.host", "127.0.0.1", "file", "line", "4"] in lines
    assert ["spec.server.port", "8079", "default"] in lines
    assert ["spec.server.openai", "true", "default"] in lines


def test_explain_has_a_json_form(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(WARNED, encoding="utf-8")

    assert cli.main(["check", str(file), "--explain", "--json"]) == 0

    out = capsys.readouterr().out
    settings = {setting["path"]: setting for setting in json.loads(out)["settings"]}
    assert settings["spec.server.port"] == {
        "path": "spec.server.port",
        "value": 8079,
        "origin": "default",
    }
    assert "sk-plain-secret" not in out


def test_a_bad_document_has_no_explanation(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(BAD, encoding="utf-8")

    assert cli.main(["check", str(file), "--explain", "--json"]) == 2
    assert "settings" not in json.loads(capsys.readouterr().out)


def test_stdin_can_be_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))

    assert cli.main(["check", "-"]) == 0
    assert capsys.readouterr().err == "- is good\n"


def test_a_file_that_is_not_there_is_a_problem(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", str(file)]) == 2
    assert "No such file" in capsys.readouterr().out
