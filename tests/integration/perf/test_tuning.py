"""The tuning's benchmark still runs, end to end; its figures are nobody's business here."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.process import Child

pytestmark = pytest.mark.integration


def test_a_short_run_prints_and_draws(tmp_path: Path) -> None:
    arguments = ["--only", "S1", "--controllers", "given,full", "--minutes", "1"]
    arguments += ["--churn", "without", "--pictures", str(tmp_path)]
    with Child.module("tests.perf.tuning", *arguments) as bench:
        assert bench.wait(timeout=600.0) == 0, bench.output
    for row in ("tuned, limit given", "static pools, each the limit"):
        assert row in bench.output
    assert len(list(tmp_path.glob("*.svg"))) == 2
