from __future__ import annotations

import io

import jwt
import pytest

from mcp_gateway.cli import main
from mcp_gateway.recording.schema import migration

SECRET = "a secret of the tests, at least thirty-two characters"


def test_sql_goes_to_stdout_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["supabase-schema", "--table", "calls"]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == migration("calls").strip()
    assert said.err == ""


def test_key_is_signed_with_the_secret_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_JWT_SECRET", SECRET)
    assert main(["supabase-schema", "--key", "--lifetime", "1h"]) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), SECRET, ["HS256"])
    assert claims["role"] == "mcp_gateway_writer"
    assert claims["exp"] - claims["iat"] == 3600


def test_secret_is_read_from_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPABASE_JWT_SECRET", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{SECRET}\n"))
    assert main(["supabase-schema", "--key"]) == 0
    jwt.decode(capsys.readouterr().out.strip(), SECRET, ["HS256"])


@pytest.mark.parametrize(
    "words", [["--table", "No Such"], ["--key", "--lifetime", "soon"], ["--key"]]
)
def test_option_without_meaning_is_status_two(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("SUPABASE_JWT_SECRET", "short")
    assert main(["supabase-schema", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "expected" in said.err
