"""A thousand gateways on one operator: memory, and requests in proportion to what changes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.operator_reconcile.gateways import gateway
from tests.support.kubernetes import Cluster, eventually
from tests.support.operator_process import OperatorProcess, running_operator

pytestmark = pytest.mark.integration

MANY = 1000
MEMORY = 200 * 2**20
REQUESTS = 32
"""Requests that one new gateway may cost."""
WITHIN = 600.0
PART = 50


def create(cluster: Cluster, namespace: str) -> None:
    """Make all of them as fast as the API server takes them."""
    everything = [gateway(f"g{number}") for number in range(MANY)]
    parts = [everything[start : start + PART] for start in range(0, MANY, PART)]
    with ThreadPoolExecutor(4) as hands:
        list(hands.map(lambda part: cluster.apply(*part, namespace=namespace), parts))


def memory(operator: OperatorProcess) -> float:
    return operator.metric("process_resident_memory_bytes")


def looked_at(operator: OperatorProcess) -> float:
    return operator.metric("mcp_gateway_operator_reconcile_seconds_count")


def change(
    cluster: Cluster, namespace: str, operator: OperatorProcess, image: str
) -> dict[str, float]:
    """Change one gateway; the requests that this took, by verb."""
    before = operator.requests()
    wrote = operator.writes()
    patch = {"spec": {"image": image}}
    cluster.kubectl(
        "patch", "mcpgateway", "g7", "--namespace", namespace, "--type=merge", "-p",
        json.dumps(patch),
    )  # fmt: skip
    eventually(lambda: operator.writes() > wrote, "the change is made")
    operator.quiet()
    after = operator.requests()
    return {verb: after[verb] - before[verb] for verb in after}


def test_a_thousand_gateways_at_once_and_a_restart_among_them(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with running_operator(cluster, namespace, tmp_path) as operator:
        create(cluster, namespace)

        def done() -> bool:
            # Its own figures tell when it is worth to look: to list a thousand again and again
            # would be most of the work here.
            operator.quiet(5.0, timeout=WITHIN)
            ready = "{.items[*].status.conditions[?(@.type=='Ready')].reason}"
            text = cluster.kubectl(
                "get", "mcpgateways", "--namespace", namespace, "-o", f"jsonpath={ready}"
            )
            return text.split() == ["ScaledToZero"] * MANY

        eventually(done, "all are ready", WITHIN)
        requests = sum(operator.requests().values())
        assert memory(operator) < MEMORY
        assert requests < REQUESTS * MANY
        assert operator.metric("mcp_gateway_operator_events_total") < 3 * MANY
        operator.stop()
    with running_operator(cluster, namespace, tmp_path) as restarted:
        eventually(lambda: looked_at(restarted) >= MANY, "all were looked at", WITHIN)
        assert restarted.quiet() == 0
        assert memory(restarted) < MEMORY
        # A watch that broke meanwhile is begun by a list, which no change is to blame for.
        costs = [change(cluster, namespace, restarted, f"new:{turn}") for turn in range(1, 4)]
        assert all(cost["apply"] <= 4 for cost in costs)
        assert min(cost["list"] + cost["delete"] for cost in costs) == 0
