from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from tests.support.recording import record, spool_settings

from mcp_gateway.cli import main
from mcp_gateway.recording.archive import Archive, Question
from mcp_gateway.recording.record import Try
from mcp_gateway.recording.spool import DeadLetter, Row, Spool


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with three records and a dead letter."""
    spool = Spool(tmp_path / "spool.db", spool_settings(ships=True, keep_shipped=True))
    records = [
        record(0xA1, started=1_700_000_000.0),
        record(0xB2, started=1_700_000_100.0, client="bob", provider="glm", error="RateLimited"),
        record(0xB3, request=msgspec.Raw(b'{"a":"\\u001b[31m"}'), tries=[Try("kimi", status=429)]),
        record(0xDD),
    ]
    for each in records:
        each.id = each.id[::-1]  # told apart by their first characters, as real ids are
    rows = [Row(r.id, r.started, msgspec.json.encode(r).decode()) for r in records]
    spool.write(rows, now=0.0)
    spool.write((), now=0.0, watermark=4, dead=[DeadLetter(4, "22003: overflow")])
    spool.close()
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    status = main(["records", *map(str, words)])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_list_is_a_table_with_the_newest_first(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "list", "--data-dir", data)
    lines = out.splitlines()
    assert status == 0
    assert lines[0].split()[:3] == ["STARTED", "ID", "CLIENT"]
    assert lines[0].split()[3] == "CALLED"
    assert len(lines) == 4
    assert "bob" in lines[2]
    assert "RateLimited" in lines[2]
    assert "3 of 3 records" in err
    assert "1 dead letters" in err


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["--limit", "1"], 1),
        (["--client", "bob"], 1),
        (["--errors"], 1),
        (["--errors", "RateLimited"], 1),
        (["--errors", "Other"], 0),
        (["--since", "1h"], 1),
        (["--since", "2023-11-14T00:00Z", "--until", "2023-11-15T00:00+00:00"], 2),
        (["--until", "2023-01-01"], 0),
        (["--unshipped"], 0),
        (["--provider", "kimi", "--model", "kimi-k2-0905-preview", "--route", "kimi"], 2),
    ],
)
def test_list_takes_questions(
    data: Path, capsys: pytest.CaptureFixture[str], words: list[str], count: int
) -> None:
    status, out, _ = run(capsys, "list", "--json", "--spool", data / "spool.db", *words)
    assert status == 0
    assert len(json.loads(out)["records"]) == count


def test_show_is_whole(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "show", "3b", "--data-dir", data)
    assert status == 0
    assert "kimi-k2-0905-preview" in out
    assert '"status": 429' in out
    assert 'request:\n{\n  "a": "\\u001b[31m"\n}' in out
    status, out, _ = run(capsys, "show", "1a", "--json", "--data-dir", data)
    assert json.loads(out)["client"] == "alice"


def test_show_says_when_there_is_none_or_more_than_one(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, "show", "9999", "--data-dir", data)
    assert status == 1
    assert "there is no record 9999" in err
    status, _, err = run(capsys, "show", "", "--data-dir", data)
    assert status == 1
    assert "several records begin with" in err


def test_export_is_json_lines_from_the_oldest_on(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "export", "--data-dir", data)
    assert status == 0
    assert [json.loads(line)["client"] for line in out.splitlines()] == ["alice", "bob", "alice"]
    target = data / "out.jsonl"
    status, out, err = run(capsys, "export", "--data-dir", data, "--output", target)
    assert (status, out) == (0, "")
    assert "3 records" in err
    assert len(target.read_text().splitlines()) == 3
    status, _, err = run(capsys, "export", "--data-dir", data, "--output", target)
    assert status == 1
    assert "exists" in err


def test_dead_letters_are_listed_and_replayed(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "dead-letters", "--data-dir", data)
    assert status == 0
    assert "22003: overflow" in out
    status, out, _ = run(capsys, "dead-letters", "--json", "--data-dir", data)
    assert [letter["number"] for letter in json.loads(out)] == [4]
    assert run(capsys, "replay", "77", "--data-dir", data)[0] == 1
    assert run(capsys, "replay", "4", "--data-dir", data)[0] == 0
    with Archive(data / "spool.db") as archive:
        assert len(archive.latest(Question(unshipped=True), 10)) == 1
    status, _, err = run(capsys, "dead-letters", "--data-dir", data)
    assert status == 0
    assert "no dead letters" in err


def test_dead_letters_are_discarded(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "discard", "--all", "--data-dir", data)
    assert status == 0
    assert "1 dead letters deleted" in err


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--since", "yesterday"],
        ["list", "--limit", "0"],
        ["replay"],
        ["discard"],
        ["list", "--spool", "/absent/spool.db"],
        [],
    ],
)
def test_wrong_usage_is_status_two(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert run(capsys, *words)[0] == 2


def test_folder_of_the_environment_is_used(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_GATEWAY_DATA_DIR", str(data))
    assert run(capsys, "list")[0] == 0
