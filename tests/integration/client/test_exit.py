"""Programs that end without closing their client, or in the middle of a call."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.client.gateways import KEY
from tests.support.eventually import eventually
from tests.support.process import python_environment

from mcp_gateway.app import Gateway
from mcp_gateway.simulator import LogNormal, Settings, Simulator
from mcp_gateway.simulator.settings import Latency

pytestmark = pytest.mark.integration

PROGRAM = """\
import sys
from mcp_gateway.api import ChatRequest
from mcp_gateway.client import SyncClient

client = SyncClient(sys.argv[1], sys.argv[2])
request = ChatRequest(model="fast", messages=[{"role": "user", "content": "Hello!"}])
"""
FORGETFUL = "print(client.chat(request).content)\n"
LEFT_A_STREAM = "print(next(client.stream(request)).content)\n"
FAILED = "client.chat(request)\nraise SystemExit(3)\n"


def program(url: str, folder: Path, text: str) -> subprocess.Popen[str]:
    file = folder / "program.py"
    file.write_text(PROGRAM + text, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(file), url, KEY],
        env=python_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    await eventually(lambda: process.poll() is not None)
    out, err = process.communicate()
    return process.returncode, out, err


@pytest.mark.parametrize(("text", "status"), [(FORGETFUL, 0), (LEFT_A_STREAM, 0), (FAILED, 3)])
async def test_a_program_that_forgets_its_client_ends_cleanly(
    text: str, status: int, url: str, tmp_path: Path
) -> None:
    returned, out, err = await ended(program(url, tmp_path, text))

    assert err == ""
    assert returned == status
    assert bool(out) == (status == 0)


async def test_an_interrupt_ends_a_call_and_cancels_it(
    url: str, running: Gateway, simulator: Simulator, tmp_path: Path
) -> None:
    simulator.configure(Settings(models=("fast",), latency=Latency(first_token=LogNormal(1000.0))))
    process = program(url, tmp_path, FORGETFUL)
    await eventually(lambda: simulator.stats()["in_flight"] == 1)

    process.send_signal(signal.SIGINT)
    _, out, err = await ended(process)

    assert out == ""
    assert err.rstrip().endswith("KeyboardInterrupt")
    await eventually(lambda: simulator.stats()["disconnected"] == 1)
