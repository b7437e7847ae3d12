"""The README's first page, typed in as it stands: every command and program that calls a gateway.

The gateway is the sample that `make run` starts, on ports the system chooses; the addresses in
the text are replaced by the real ones, nothing else.
"""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from tests.support.gateway_process import GatewayProcess, gateway
from tests.support.process import ROOT, python_environment

pytestmark = pytest.mark.integration

README = (ROOT / "README.md").read_text(encoding="utf-8")
SAMPLE = ROOT / "manifests" / "samples" / "quickstart.yaml"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(language: str, *wanted: str) -> list[str]:
    """The blocks of a language that hold one of the words."""
    return [
        text
        for found, text in BLOCK.findall(README)
        if found == language and any(word in text for word in wanted)
    ]


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    document = yaml.safe_load(SAMPLE.read_text(encoding="utf-8"))
    with gateway(document, tmp_path_factory.mktemp("readme")) as running:
        yield running


def _run(
    arguments: list[str], running: GatewayProcess, folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments,
        cwd=folder,
        env=python_environment({"MCP_GATEWAY_URL": running.websocket, "NO_PROXY": "127.0.0.1"}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _placed(text: str, running: GatewayProcess) -> str:
    """Put the real addresses, and this interpreter's program, in the text."""
    command = f"{sys.executable} -m mcp_gateway"
    return (
        text.replace("127.0.0.1:8079", urlsplit(running.http).netloc)
        .replace("127.0.0.1:9079", urlsplit(running.admin).netloc)
        .replace(".venv/bin/mcp-gateway", command)
    )


@pytest.mark.parametrize("command", _blocks("sh", "curl ", "mcp-gateway call"))
def test_the_commands_are_answered(
    command: str, quickstart: GatewayProcess, tmp_path: Path
) -> None:
    # --fail-with-body: an HTTP error is an error here.
    script = _placed(command, quickstart).replace("curl ", "curl --fail-with-body -sS ")
    done = _run(["bash", "-euo", "pipefail", "-c", script], quickstart, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello!" in done.stdout, done.stdout


@pytest.mark.parametrize("program", _blocks("python", "import"))
def test_the_programs_are_answered(
    program: str, quickstart: GatewayProcess, tmp_path: Path
) -> None:
    text = _placed(program, quickstart)
    if "async with" in text:
        body = textwrap.indent(text, "    ")
        text = f"import asyncio\nasync def main():\n{body}\nasyncio.run(main())\n"
    file = tmp_path / "program.py"
    file.write_text(text, encoding="utf-8")
    done = _run([sys.executable, str(file)], quickstart, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Hello!" in done.stdout, done.stdout


def test_the_pages_it_names_are_there(quickstart: GatewayProcess, tmp_path: Path) -> None:
    for page in ("http://127.0.0.1:9079", "http://127.0.0.1:9079/metrics"):
        assert page in README
        url = _placed(page, quickstart)
        done = _run(["curl", "--fail-with-body", "-sS", url], quickstart, tmp_path)
        assert done.returncode == 0, f"{page}: {done.stdout}{done.stderr}"


def test_the_document_it_shows_is_accepted(quickstart: GatewayProcess, tmp_path: Path) -> None:
    (document,) = _blocks("yaml", "kind: MCPGateway")
    (tmp_path / "gateway.yaml").write_text(document, encoding="utf-8")
    arguments = [sys.executable, "-m", "mcp_gateway", "check", "gateway.yaml"]
    done = _run(arguments, quickstart, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_it_links_to_is_there() -> None:
    targets = set(re.findall(r"\]\((?!http)([^)#]+)", README))
    assert targets
    missing = sorted(target for target in targets if not (ROOT / target).exists())
    assert missing == []
