from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from mcp_gateway import cli
from mcp_gateway.config import client_keys


def test_the_key_alone_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["keys", "create", "alice"]) == 0

    out, err = capsys.readouterr()
    key = out.removesuffix("\n")
    assert key.startswith("mgw_")
    assert f"alice sha256:{sha256(key.encode()).hexdigest()}" in err
    assert key not in err
    assert "spec.auth.apiKeys" in err


def test_json_has_key_and_line(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--models", "kimi-.*", "--rate", "60/1m", "--burst", "10"]
    assert cli.main(["keys", "create", "ci", *options, "--json"]) == 0

    out, err = capsys.readouterr()
    made = json.loads(out)
    (parsed,) = client_keys.parse(made["line"])
    assert parsed == client_keys.ClientKey(
        "ci", sha256(made["key"].encode()).digest(), "kimi-.*", 1.0, 10
    )
    assert made["name"] == "ci"
    assert err == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["no spaces please"], "a client's name"),
        (["a", "--models", "("], "RE2"),
        (["a", "--rate", "60"], "60/1m"),
        (["a", "--burst", "0"], "burst"),
    ],
)
def test_what_has_no_meaning_is_refused_and_makes_no_key(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys"

    assert cli.main(["keys", "create", *options, "--append", str(file)]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "line 1" not in err
    assert not file.exists()


def test_lines_are_appended_to_a_file_that_others_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "secrets" / "keys"

    for name in ("alice", "bob"):
        assert cli.main(["keys", "create", name, "--append", str(file)]) == 0

    assert [key.name for key in client_keys.parse(file.read_text())] == ["alice", "bob"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr().out.count("mgw_") == 2


def test_a_last_line_without_its_end_is_not_run_into(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# our clients", encoding="utf-8")

    assert cli.main(["keys", "create", "alice", "--append", str(file)]) == 0

    assert [key.name for key in client_keys.parse(file.read_text())] == ["alice"]


def test_a_file_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["keys", "create", "alice", "--append", str(tmp_path)]) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert str(tmp_path) in err


def test_a_second_key_for_a_client_is_made_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys"
    assert cli.main(["keys", "create", "alice", "--append", str(file)]) == 0
    assert "already" not in capsys.readouterr().err

    assert cli.main(["keys", "create", "alice", "--append", str(file)]) == 0
    err = capsys.readouterr().err
    assert "had a key for alice already" in err
    assert "take the former line out" in err
    assert [key.name for key in client_keys.parse(file.read_text())] == ["alice", "alice"]

    assert cli.main(["keys", "create", "bob", "--append", str(file)]) == 0
    assert "already" not in capsys.readouterr().err


def test_nothing_is_added_to_a_file_that_holds_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys"
    file.write_text("not a line of keys\n")

    assert cli.main(["keys", "create", "alice", "--append", str(file)]) == 2
    assert capsys.readouterr().out == ""
    assert file.read_text() == "not a line of keys\n"
