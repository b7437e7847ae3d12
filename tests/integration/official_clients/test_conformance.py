"""The official conformance suite against a gateway: what each revision requires of a server.

The suite expects a server with tools, prompts and resources made for it. A gateway in front
of chat providers has none of these, so `conformance_expected.yaml` lists every scenario that
cannot pass, with the reason. Everything else must pass, and what is listed must still fail.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.integration.official_clients.conftest import Fleet
from tests.support import node_clients
from tests.support.cached_install import InstallFailed

pytestmark = pytest.mark.integration

EXPECTED = Path(__file__).with_name("conformance_expected.yaml")
SUITE_TIMEOUT = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """One scenario's failed checks, each with the suite's words."""

    scenario: str
    failed: dict[str, str]


def _suite() -> list[str]:
    try:
        script = node_clients.program(node_clients.CONFORMANCE, "@modelcontextprotocol/conformance")
        return [node_clients.node(), str(script)]
    except InstallFailed as error:
        pytest.skip(str(error))


def _run(revision: str, url: str, folder: Path) -> list[Verdict]:
    command = [*_suite(), "server", "--url", url, "--requirements", revision, "-o", str(folder)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=SUITE_TIMEOUT, check=False
    )
    verdicts = [_verdict(path) for path in sorted(folder.glob("server-*/checks.json"))]
    assert verdicts, f"the suite did not run\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return verdicts


def _verdict(path: Path) -> Verdict:
    named = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z", path.parent.name)
    assert named is not None, path.parent.name
    failed = {
        check["id"]: str(check.get("errorMessage", ""))
        for check in json.loads(path.read_bytes())
        if check["status"] == "FAILURE"
    }
    return Verdict(named[1], failed)


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_the_suite_finds_what_is_expected(revision: str, fleet: Fleet, tmp_path: Path) -> None:
    expected: dict[str, str] = yaml.safe_load(EXPECTED.read_text(encoding="utf-8"))[revision]
    # The suite cannot send a credential.
    verdicts = _run(revision, fleet.open.http, tmp_path)
    surprises = {
        f"{verdict.scenario}: {check}": words
        for verdict in verdicts
        if verdict.scenario not in expected
        for check, words in verdict.failed.items()
    }
    assert surprises == {}
    failed = {verdict.scenario for verdict in verdicts if verdict.failed}
    assert set(expected) <= failed, "these pass now: remove them from the list"
