"""The MCP Inspector's command line, in every era it speaks."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.integration.official_clients.conftest import Fleet
from tests.support import node_clients
from tests.support.cached_install import InstallFailed

pytestmark = pytest.mark.integration

ERAS = ["legacy", "auto", "modern"]
TOOL_FAILED = 5
CHAT = {"model": "kimi-k2.5", "messages": [{"role": "user", "content": "Hello!"}]}


@pytest.fixture(scope="session")
def command() -> list[str]:
    try:
        script = node_clients.program(node_clients.INSPECTOR, "@modelcontextprotocol/inspector")
        return [node_clients.node(), str(script), "--cli"]
    except InstallFailed as error:
        pytest.skip(str(error))


def _inspect(
    command: list[str], fleet: Fleet, home: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *command,
            fleet.guarded.http,
            "--header",
            f"Authorization: Bearer {fleet.key.key}",
            "--stored-auth-only",
            "--format",
            "json",
            *arguments,
        ],
        # The Inspector keeps files in the home folder.
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def _result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)["result"]
    return result


@pytest.mark.parametrize("era", ERAS)
def test_lists_the_tools_without_a_complaint(
    command: list[str], fleet: Fleet, tmp_path: Path, era: str
) -> None:
    # --strict: schemas that some client could not use are an error.
    arguments = ["--method", "tools/list", "--strict", "--protocol-era", era]
    result = _result(_inspect(command, fleet, tmp_path, *arguments))
    assert {"chat", "kimi_chat", "glm_chat", "models"} <= {tool["name"] for tool in result["tools"]}


@pytest.mark.parametrize("era", ERAS)
def test_calls_a_tool(command: list[str], fleet: Fleet, tmp_path: Path, era: str) -> None:
    arguments = ["--method", "tools/call", "--tool-name", "kimi_chat", "--protocol-era", era]
    arguments += ["--tool-args-json", json.dumps(CHAT)]
    result = _result(_inspect(command, fleet, tmp_path, *arguments))
    assert result["structuredContent"]["provider"] == "kimi"
    assert result["content"][0]["text"] == result["structuredContent"]["content"]


@pytest.mark.parametrize("era", ERAS)
def test_reports_a_failed_call(command: list[str], fleet: Fleet, tmp_path: Path, era: str) -> None:
    arguments = ["--method", "tools/call", "--tool-name", "down_chat", "--protocol-era", era]
    arguments += ["--tool-args-json", json.dumps(CHAT)]
    done = _inspect(command, fleet, tmp_path, *arguments)
    assert done.returncode == TOOL_FAILED, done.stderr
    assert json.loads(done.stdout)["result"]["structuredContent"]["error"]["provider"] == "down"
