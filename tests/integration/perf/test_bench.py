"""The benchmark itself still runs, end to end; its figures are nobody's business here."""

from __future__ import annotations

import pytest
from tests.support.process import Child

pytestmark = pytest.mark.integration


def test_a_short_run_prints_every_face() -> None:
    arguments = ["--rounds", "1", "--requests", "200", "--only", "requests"]
    with Child.module("tests.perf", *arguments) as bench:
        assert bench.wait(timeout=300.0) == 0, bench.output
    for face in ("MCP over HTTP", "MCP over WebSocket", "OpenAI API"):
        assert face in bench.output
