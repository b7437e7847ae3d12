"""Exit statuses, streams, colour and pipes, of real processes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.integration.cli.command import TIMEOUT, command, environment, run

pytestmark = pytest.mark.integration

BAD = """\
apiVersion: gateway.exai.dev/v1alpha1
kind: MCPGateway
spec:
  server: {prot: 1}
  providers: [{name: kimi, type: kimmi}]
"""


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.yaml"
    file.write_text(BAD, encoding="utf-8")
    return file


def test_nothing_to_do_is_taught_on_stderr() -> None:
    done = run()

    assert (done.status, done.out) == (2, "")
    assert "mcp-gateway run" in done.err


def test_a_typing_mistake_is_answered_on_stderr() -> None:
    done = run("call", "--modle", "x", "Hello!")

    assert (done.status, done.out) == (2, "")
    assert "did you mean --model?" in done.err


def test_results_go_to_stdout_and_words_to_stderr(tmp_path: Path) -> None:
    done = run("keys", "create", "alice", "--append", str(tmp_path / "keys"))

    assert done.status == 0
    assert done.out.startswith("mgw_")
    assert done.out.count("\n") == 1
    assert done.out.strip() not in done.err


def test_the_key_that_is_printed_is_the_one_that_is_kept(tmp_path: Path) -> None:
    done = run("keys", "create", "alice", "--json")

    made = json.loads(done.out)
    assert made["line"].startswith("alice sha256:")


def test_a_wrong_document_is_2_for_check_and_for_run(bad: Path) -> None:
    checked = run("check", str(bad))
    ran = run("run", str(bad), "--json")

    assert (checked.status, ran.status) == (2, 2)
    assert ran.out == ""
    for problem in ("spec.server.prot", "did you mean port?", "spec.providers[0].type"):
        assert problem in checked.out
        assert problem in ran.err


def on_terminal(*argv: str, env: Mapping[str, str] | None = None) -> bytes:
    """Run a command whose streams are a terminal, and return what the terminal got."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*argv),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment({"TERM": "xterm", **(env or {})}),
    )
    os.close(theirs)
    written = b""
    try:
        while data := os.read(ours, 65536):
            written += data
    except OSError:
        pass  # EIO: the other end was closed
    finally:
        os.close(ours)
        process.wait(TIMEOUT)
    return written


def test_colour_is_for_terminals_that_want_it(bad: Path) -> None:
    assert b"\x1b[" in on_terminal("check", str(bad))
    assert b"\x1b[" not in on_terminal("check", str(bad), env={"NO_COLOR": "1"})
    assert b"\x1b[" not in on_terminal("check", str(bad), env={"TERM": "dumb"})
    assert "\x1b[" not in run("check", str(bad)).out


@pytest.mark.parametrize("argv", [["crd"], ["keys", "create", "alice"]])
def test_a_reader_that_went_away_ends_it_quietly(argv: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command(*argv),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=TIMEOUT,
        env=environment(),
        check=False,
    )
    os.close(writer)

    assert done.returncode == 141
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_a_failure() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("crd"),
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
            env=environment(),
            check=False,
        )

    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_nobody_to_call_is_1_with_a_hint() -> None:
    done = run("call", "--url", "ws://127.0.0.1:9/mcp", "--model", "m", "Hello!")

    assert (done.status, done.out) == (1, "")
    assert "error: ConnectFailed" in done.err
    assert "hint:" in done.err
