from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.process import python_environment

from mcp_gateway.api.recording import Recording
from mcp_gateway.api.secret import SecretSource
from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.setup import build, redactor, spool_path

SUPABASE: dict[str, Any] = {"url": "https://project.example", "key": {"env": "SUPABASE_KEY"}}


def recording(**spec: Any) -> Recording:
    return Recording.model_validate(spec)


def no_secret(_: SecretSource) -> str:
    raise AssertionError("no secret is asked for")


def test_recording_that_is_off_has_no_recorder(tmp_path: Path) -> None:
    off = recording(enabled=False)
    assert build(off, data_dir=tmp_path, read_secret=no_secret) is None


def test_recorder_of_the_defaults_ships_nothing(tmp_path: Path) -> None:
    recorder = build(recording(), data_dir=tmp_path, read_secret=no_secret)
    assert recorder is not None
    assert recorder.stats().shipper is None


def test_recorder_ships_where_a_database_is_named(tmp_path: Path) -> None:
    asked: list[SecretSource] = []

    def read(source: SecretSource) -> str:
        asked.append(source)
        return "key\n"

    recorder = build(recording(supabase=SUPABASE), data_dir=tmp_path, read_secret=read)
    assert recorder is not None
    assert recorder.stats().shipper is not None
    assert [source.env for source in asked] == ["SUPABASE_KEY"]


def test_missing_package_is_said_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'mcp-gateway\[supabase\]'"):
        build(recording(supabase=SUPABASE), data_dir=tmp_path, read_secret=lambda _: "key")


def test_client_library_is_not_loaded_where_nothing_is_shipped() -> None:
    program = (
        "import sys, mcp_gateway.recording.setup, mcp_gateway.recording.archive;"
        " sys.exit('supabase' in sys.modules or 'httpx' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=python_environment(), check=False, timeout=60
    )
    assert done.returncode == 0


def test_spool_is_in_the_data_folder_unless_the_document_says_where(tmp_path: Path) -> None:
    assert spool_path(recording(), tmp_path) == tmp_path / "spool.db"
    named = recording(spool={"path": "/elsewhere/records.db"})
    assert spool_path(named, tmp_path) == Path("/elsewhere/records.db")


def test_rules_of_the_document_are_compiled() -> None:
    assert redactor([]) is None
    rules = recording(
        redact=[{"path": "user", "replacement": "-"}, {"regex": "secret"}, {"pattern": "emails"}]
    ).redact
    redact = redactor(rules)
    assert redact is not None
    assert (
        redact.body(b'{"user":"u","text":"a secret a@b.cd"}')
        == b'{"user":"-","text":"a [redacted] [redacted]"}'
    )
