from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from mcp_gateway.api.control import Grant
from mcp_gateway.api.quota import Peer, Quota
from mcp_gateway.app.grant_file import NAME, GrantFile, Kept

GRANT = Grant(
    epoch=3,
    sequence=9,
    report_every=0.5,
    quotas=[Quota(provider="kimi", account="abc", share=10, ceiling=100, reason="probing")],
    peers=[Peer(address="10.0.0.1:9082", provider="glm", model="glm-5", share=2)],
)
KEPT = Kept(GRANT, {"kimi": "abc"})


def test_a_grant_comes_back_as_it_was(tmp_path: Path) -> None:
    assert GrantFile(tmp_path, "uid").load() is None
    GrantFile(tmp_path / "data", "uid").save(KEPT)
    assert GrantFile(tmp_path / "data", "uid").load() == KEPT
    assert GrantFile(tmp_path / "data", "other").load() is None
    assert [file.name for file in (tmp_path / "data").iterdir()] == [NAME]


def test_after_the_machine_started_again_nothing_is_known(tmp_path: Path) -> None:
    GrantFile(tmp_path, "uid").save(KEPT)
    written = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps({**written, "boot": "another"}))
    assert GrantFile(tmp_path, "uid").load() is None


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"pod":"uid"}', b"[" * 100_000]
)
def test_a_file_that_is_none_counts_as_none(
    tmp_path: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).write_bytes(text)
    assert GrantFile(tmp_path, "uid").load() is None
    assert "no grant" in caplog.text


def garbled(tmp_path: Path, **changed: Any) -> Kept | None:
    GrantFile(tmp_path, "uid").save(KEPT)
    written = json.loads((tmp_path / NAME).read_text())
    (tmp_path / NAME).write_text(json.dumps({**written, **changed}))
    return GrantFile(tmp_path, "uid").load()


def test_what_does_not_hold_together_counts_as_none(tmp_path: Path) -> None:
    assert garbled(tmp_path, accounts=["kimi"]) is None
    assert garbled(tmp_path, grant={"epoch": -1, "sequence": 1}) is None
    assert garbled(tmp_path, grant={"epoch": 1, "sequence": 1, "quotas": [{"share": 1}]}) is None
    assert garbled(tmp_path) == KEPT


def test_where_nothing_can_be_written_nothing_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = GrantFile(tmp_path, "uid")
    assert file.save(KEPT)
    # Its place is taken by what no file can replace.
    (tmp_path / "grant.new").mkdir()
    with caplog.at_level(logging.ERROR):
        assert file.save(Kept(GRANT.model_copy(update={"sequence": 10}), {"kimi": "abc"}))
    assert "cannot be kept" in caplog.text
    assert GrantFile(tmp_path, "uid").load() is None
    assert file.save(KEPT), "there is nothing to take away"


def test_what_cannot_be_taken_away_is_said_to_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).mkdir()
    with caplog.at_level(logging.ERROR):
        assert not GrantFile(tmp_path, "uid").save(KEPT)
    assert "cannot be taken away" in caplog.text
    (tmp_path / "data").write_text("no folder")
    assert GrantFile(tmp_path / "data", "uid").save(KEPT)


def test_the_same_grant_is_not_written_twice(tmp_path: Path) -> None:
    file = GrantFile(tmp_path, "uid")
    file.save(KEPT)
    (tmp_path / NAME).unlink()
    file.save(KEPT)
    assert not (tmp_path / NAME).exists()
