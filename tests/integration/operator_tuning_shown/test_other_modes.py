"""Modes in which nothing is granted: what is seen and what is advised is shown all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.operator_tuning_shown.account import (
    FAST,
    addresses,
    install,
    limit,
    limited,
    tuned,
    wait_tuned,
)
from tests.integration.operator_tuning_shown.demand import Demand
from tests.support.gateway_process import simulator
from tests.support.kubernetes import Cluster, eventually
from tests.support.operator_process import OperatorProcess, running_operator

pytestmark = pytest.mark.integration


@pytest.fixture
def operator(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator that leads, of the test's namespace."""
    with running_operator(cluster, namespace, tmp_path, *FAST) as running:
        yield running


def test_recommend_writes_what_it_would_do_and_grants_nothing(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    with simulator(limited(20)) as provider:
        install(cluster, namespace, tuned(provider, mode="Recommend", replicas=2, stated=20))
        with Demand(lambda: addresses(cluster, namespace), 10):
            wait_tuned(cluster, namespace, "Recommending")
            eventually(lambda: limit(cluster, namespace).get("recommendation"), "there is advice")
            found = limit(cluster, namespace)["recommendation"]
            assert found["lower"] <= found["target"] <= found["upper"] == 20
            assert found["reason"]
            eventually(lambda: limit(cluster, namespace).get("inFlight"), "it is seen")
        assert "shares" not in limit(cluster, namespace)
        assert operator.metric("mcp_gateway_operator_tuning_recommended") > 0


def test_off_shows_what_is_used_and_decides_nothing(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    with simulator(limited(None)) as provider:
        install(cluster, namespace, tuned(provider, mode="Off", replicas=2))
        with Demand(lambda: addresses(cluster, namespace), 10):
            eventually(lambda: limit(cluster, namespace).get("inFlight"), "it is seen")
            assert wait_tuned(cluster, namespace, "NotTuned")["status"] == "Unknown"
            assert "ceiling" not in limit(cluster, namespace)
        eventually(lambda: not limit(cluster, namespace)["inFlight"], "it is over")
        before = operator.quiet(8.0)
        assert operator.quiet(8.0) == before, "nothing is written at rest"
