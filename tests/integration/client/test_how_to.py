"""The page on the Python client, typed in as it stands, against the sample it names."""

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

PAGE = (ROOT / "docs" / "how-to" / "python-client.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    sample = ROOT / "manifests" / "samples" / "quickstart.yaml"
    document = yaml.safe_load(sample.read_text(encoding="utf-8"))
    with gateway(document, tmp_path_factory.mktemp("how-to")) as running:
        yield running


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_program_runs(program: str, quickstart: GatewayProcess, tmp_path: Path) -> None:
    text = program.replace("127.0.0.1:8079", urlsplit(quickstart.http).netloc)
    if "async with" in text:
        body = textwrap.indent(text, "    ")
        text = f"import asyncio\n\nasync def main():\n{body}\nasyncio.run(main())\n"
    file = tmp_path / "program.py"
    file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(file)],
        cwd=ROOT,
        env=python_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
