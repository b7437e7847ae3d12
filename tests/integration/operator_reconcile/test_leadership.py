"""Two replicas: one leads, the other takes over, and who has lost the lead changes nothing."""

from __future__ import annotations

import signal
import time
from datetime import datetime
from pathlib import Path

import pytest
from tests.integration.operator_reconcile.gateways import complete, gateway, wait_condition
from tests.support.kubernetes import Cluster, eventually
from tests.support.operator_process import OperatorProcess

from mcp_gateway_operator.cluster.lease import DURATION

pytestmark = pytest.mark.integration

TAKEN_OVER_WITHIN = 25.0
"""Seconds: the fifteen that are promised, which an unlucky moment needs all, and a busy machine's
own."""


def test_another_replica_takes_over_after_kill_9(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with OperatorProcess(cluster, namespace, tmp_path) as leader:
        # Two that begin at once would both try to make the Lease, and one would be refused.
        epoch = leader.wait_leading()
        with OperatorProcess(cluster, namespace, tmp_path) as other:
            other.wait_synced()
            cluster.apply(gateway(), namespace=namespace)
            eventually(lambda: complete(cluster, namespace), "the leader works")
            assert not other.lines("leading")
            assert other.writes() == 0
            leader.kill()
            killed = time.monotonic()
            assert other.wait_leading(TAKEN_OVER_WITHIN) == epoch + 1
            assert time.monotonic() - killed <= TAKEN_OVER_WITHIN
            cluster.apply(gateway("next"), namespace=namespace)
            eventually(lambda: complete(cluster, namespace, "next"), "the other works")


def test_a_graceful_stop_hands_over_at_once(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with OperatorProcess(cluster, namespace, tmp_path) as first:
        epoch = first.wait_leading()
        with OperatorProcess(cluster, namespace, tmp_path) as second:
            second.wait_synced()
            assert first.stop() == 0
            (line,) = first.lines("no longer leading")
            assert line["why"] == "released"
            assert second.wait_leading() == epoch + 1
            # Sooner than a lease ends that was not released.
            handed_over = datetime.fromisoformat(line["time"])
            taken = datetime.fromisoformat(second.lines("leading")[0]["time"])
            assert (taken - handed_over).total_seconds() < DURATION


def test_an_old_leader_that_wakes_up_changes_nothing(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with OperatorProcess(cluster, namespace, tmp_path) as old:
        old.wait_leading()
        cluster.apply(gateway(), namespace=namespace)
        eventually(lambda: complete(cluster, namespace), "all is made")
        wait_condition(cluster, namespace, "Ready", "ScaledToZero")
        before = old.quiet()
        old.signal(signal.SIGSTOP)
        with OperatorProcess(cluster, namespace, tmp_path) as new:
            new.wait_leading()
            cluster.kubectl(
                "patch", "mcpgateway", "llm", "--namespace", namespace, "--type=merge", "-p",
                '{"spec": {"image": "new:1"}}',
            )  # fmt: skip

            def changed() -> bool:
                pod = cluster.get("deployment", "llm", namespace)["spec"]["template"]["spec"]
                return bool(pod["containers"][0]["image"] == "new:1")

            eventually(changed, "the new leader works")
            new.quiet()
            version = cluster.get("mcpgateway", "llm", namespace)["metadata"]["resourceVersion"]
            old.signal(signal.SIGCONT)
            eventually(lambda: old.lines("no longer leading"), "the old one has noticed")
            cluster.kubectl("delete", "service", "llm", "--namespace", namespace)
            eventually(lambda: complete(cluster, namespace), "the new one makes it again")
            assert old.writes() == before
            assert new.metric("mcp_gateway_operator_leading") == 1
            assert old.metric("mcp_gateway_operator_leading") == 0
            found = cluster.get("mcpgateway", "llm", namespace)["metadata"]
            assert found["resourceVersion"] == version
