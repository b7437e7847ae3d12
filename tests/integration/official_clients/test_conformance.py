"""The official conformance suite against a gateway: what each revision requires of a server.

The suite expects a server with tools, prompts and resources made for it. A gateway in front
of chat providers has none of these, so `conformance_expected.yaml` lists every scenario that
cannot pass, with the reason. Everything else must pass, and what is listed must still fail.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.integration.official_clients.conftest import Fleet
from tests.support import node_clients
from tests.support.cached_install import InstallFailed

pytestmark = pytest.mark.integration

EXPECTED = Path(__file__).with_name("conformance_expected.yaml")
SUITE_TIMEOUT = 900
NEVER_EXCUSED = "wire-schema-valid"
MUST_PASS = {
    "2025-11-25": {"server-initialize", "ping", "tools-list", "dns-rebinding-protection"},
    "2026-07-28": {
        "http-header-validation",
        "tools-list",
        "dns-rebinding-protection",
        "sep-2164-resource-not-found",
    },
}

Failures = dict[str, dict[str, str]]
"""The suite's words by check, by scenario; a scenario without failures has none."""


def _suite() -> list[str]:
    try:
        script = node_clients.program(node_clients.CONFORMANCE, "@modelcontextprotocol/conformance")
        return [node_clients.node(), str(script)]
    except InstallFailed as error:
        pytest.skip(str(error))


def _run(revision: str, url: str, folder: Path) -> Failures:
    command = [*_suite(), "server", "--url", url, "--requirements", revision, "-o", str(folder)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=SUITE_TIMEOUT, check=False
    )
    found = dict(_scenario(path) for path in sorted(folder.glob("server-*/checks.json")))
    assert found, f"the suite did not run\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return found


def _scenario(path: Path) -> tuple[str, dict[str, str]]:
    named = re.fullmatch(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z", path.parent.name)
    assert named is not None, path.parent.name
    failed = {
        check["id"]: str(check.get("errorMessage", ""))
        for check in json.loads(path.read_bytes())
        if check["status"] == "FAILURE"
    }
    return named[1], failed


def _expected(revision: str) -> set[str]:
    groups = yaml.safe_load(EXPECTED.read_text(encoding="utf-8"))[revision]
    return {entry for group in groups for entry in group["failing"]}


def _entry(scenario: str, check: str, expected: set[str]) -> str | None:
    """Return the entry of the list that excuses a failed check."""
    if check == NEVER_EXCUSED:
        return None
    both = f"{scenario}:{check}"
    return both if both in expected else scenario if scenario in expected else None


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_the_suite_finds_what_is_expected(revision: str, fleet: Fleet, tmp_path: Path) -> None:
    expected = _expected(revision)
    # The suite cannot send a credential.
    found = _run(revision, fleet.open.http, tmp_path)
    failures = {
        (scenario, check): words
        for scenario, failed in found.items()
        for check, words in failed.items()
    }
    excuses = {pair: _entry(*pair, expected) for pair in failures}
    assert {pair: failures[pair] for pair, excuse in excuses.items() if excuse is None} == {}
    stale = expected - set(excuses.values())
    assert not stale, "these pass now: take them off the list"
    assert MUST_PASS[revision] <= {scenario for scenario, failed in found.items() if not failed}
