"""A page of the documentation as its reader has it: blocks to type in, and a place to do it.

The place has what `make run` leaves behind: `.venv/bin/mcp-gateway`, the samples, and a gateway
that runs the quick start. Ports are chosen by the system, so addresses in the text are replaced
by the real ones; nothing else is.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from tests.support.gateway_process import GatewayProcess, gateway
from tests.support.process import ROOT, Child, python_environment

BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SAMPLE = Path("manifests", "samples", "quickstart.yaml")
RUN_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Done:
    """A block that was typed in."""

    status: int
    out: str
    err: str


def blocks(file: str, language: str) -> list[str]:
    """The blocks of a language on a page, as they stand there."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return [textwrap.dedent(body) for _, found, body in BLOCK.findall(text) if found == language]


def dead_links(file: Path) -> list[str]:
    """Links of a page to files that are not there, or to headings they do not have."""
    dead = []
    for target, anchor in LINK.findall(file.read_text(encoding="utf-8")):
        found = (file.parent / target).resolve() if target else file
        if not found.exists():
            dead.append(target)
        elif anchor and anchor not in _anchors(found):
            dead.append(f"{target}#{anchor}")
    return dead


def _anchors(file: Path) -> set[str]:
    """The names headings can be linked by, as code hosts make them."""
    headings = HEADING.findall(file.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Place:
    """A folder and two terminals: the gateway runs in one, blocks are typed into the other."""

    def __init__(self, folder: Path, running: GatewayProcess) -> None:
        self.folder = folder
        self.running = running

    def type_in(self, block: str) -> Done:
        """Type a block of shell in, and wait for its end. A command that fails ends it.

        curl fails on an HTTP error, and is silent about its progress.
        """
        text = re.sub(r"\bcurl ", "curl --fail-with-body -sS ", self.placed(block))
        return self._run(["bash", "-euo", "pipefail", "-c", text])

    def run_program(self, block: str) -> Done:
        """Run a Python program."""
        program = self.folder / "program.py"
        program.write_text(self.placed(block), encoding="utf-8")
        return self._run([sys.executable, "-W", "error", str(program)])

    @contextlib.contextmanager
    def typed_in(self, block: str) -> Iterator[dict[str, str]]:
        """Type in a block that ends by running a gateway; the addresses it tells."""
        text = f"{block.rstrip()} --port 0 --admin-port 0 --data-dir other --json"
        # `exec`: what is ended is the gateway, not a shell around it.
        text = re.sub(r"^mcp-gateway", "exec mcp-gateway", text, flags=re.MULTILINE)
        arguments = ["bash", "-euo", "pipefail", "-c", text]
        environment = self._environment()
        with Child(arguments, name="gateway", environment=environment, folder=self.folder) as child:
            yield json.loads(child.wait_for_line(lambda line: line.startswith("{")))

    def placed(self, text: str) -> str:
        """Put the real addresses in a text."""
        return text.replace("127.0.0.1:8079", urlsplit(self.running.http).netloc).replace(
            "127.0.0.1:9079", urlsplit(self.running.admin).netloc
        )

    def _run(self, arguments: list[str]) -> Done:
        done = subprocess.run(
            arguments,
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def _environment(self) -> dict[str, str]:
        return python_environment(
            {
                "MCP_GATEWAY_URL": self.running.websocket,
                "MCP_GATEWAY_DATA_DIR": str(Path(self.running.spool).parent),
                "NO_PROXY": "127.0.0.1",
                "PATH": os.pathsep.join([str(self.folder / ".venv" / "bin"), os.environ["PATH"]]),
            }
        )


@contextlib.contextmanager
def quickstart(folder: Path) -> Iterator[Place]:
    """What a reader has after `make run`, in an empty folder."""
    program = folder / ".venv" / "bin" / "mcp-gateway"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mcp_gateway "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    (folder / "manifests").symlink_to(ROOT / "manifests")
    document = yaml.safe_load((ROOT / SAMPLE).read_text(encoding="utf-8"))
    with gateway(document, folder / "first-terminal") as running:
        yield Place(folder, running)
