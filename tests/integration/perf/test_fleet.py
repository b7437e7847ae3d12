"""The operator's benchmark still runs, end to end; its figures are nobody's business here."""

from __future__ import annotations

import pytest
from tests.perf.fleet.result import Result, Row, as_markdown, percentile
from tests.support.kubernetes import KUBECONFIG_VARIABLE, Cluster
from tests.support.process import Child

pytestmark = pytest.mark.integration


def test_a_short_run_prints_every_section(cluster: Cluster) -> None:
    few = ["--changes", "2", "--pods", "2", "--starts", "1", "--many", "5", "--rest", "1"]
    environment = {KUBECONFIG_VARIABLE: str(cluster.kubeconfig)}
    arguments = [*few, "--only", "many,changes,starts"]
    with Child.module(
        "tests.perf.fleet", *arguments, "--no-save", extra_environment=environment
    ) as bench:
        assert bench.wait(timeout=600.0) == 0, bench.output
    for row in ("applied on all of 2 pods, p99", "apply to Ready", "CPU at rest"):
        assert row in bench.output


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert percentile(values, 0.5) == 50.0
    assert percentile(values, 0.99) == 99.0
    assert percentile([3.0], 0.99) == 3.0


def test_a_missed_goal_is_shown() -> None:
    rows = [Row("slow", 2.0, "s", 1.0, "why"), Row("fast", 0.5, "s", 1.0)]
    result = Result({"machine": "any"}, {"Speed": rows})
    assert result.missed == ["slow"]
    text = as_markdown(result)
    assert "| slow | 2 s | at most 1 MISSED |" in text
    assert "- slow: why" in text
