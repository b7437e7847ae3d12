"""A cluster in the background, as `make cluster` and `make cluster-down` start and end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.kubernetes import eventually
from tests.support.process import ROOT, python_environment

pytestmark = pytest.mark.integration


def command(state: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster", "--state", str(state), *arguments],
        cwd=ROOT,
        env=python_environment(),
        stdout=subprocess.PIPE,  # the rest is progress of a first build, for the terminal
        text=True,
        timeout=3600,
        check=True,
    )
    return done.stdout


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """Where the test's cluster is recorded; it is ended in any case."""
    yield tmp_path
    command(tmp_path, "down")


def facts(state: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((state / "facts.json").read_text())
    return known


def none_lives(pids: list[int]) -> bool:
    def lives(pid: int) -> bool:
        try:
            return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False

    return not any(map(lives, pids))


def test_cluster_starts_answers_kubectl_and_ends(state: Path) -> None:
    said = command(state, "up")
    assert str(facts(state)["kubeconfig"]) in said
    assert command(state, "up") == said, "a second one is not started"
    script = f"{command(state, 'env')}\nkubectl get nodes -o name && helm version --short"
    answer = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert answer.splitlines()[0] == "node/node-1"
    assert answer.splitlines()[1].startswith("v3.")
    pids = [process["pid"] for process in facts(state)["processes"]]
    folder = Path(facts(state)["folder"])
    assert command(state, "down") == "the cluster has ended\n"
    assert none_lives(pids)
    assert not folder.exists()
    assert command(state, "down") == "no cluster runs\n"


def test_killed_leader_takes_everything_along(state: Path) -> None:
    command(state, "up")
    pids = [process["pid"] for process in facts(state)["processes"]]
    os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: none_lives(pids), "the end of every process")
    folder = Path(facts(state)["folder"])
    command(state, "down")
    assert not folder.exists()
