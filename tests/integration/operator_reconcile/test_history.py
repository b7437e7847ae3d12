"""Watches that cannot go on where they were: the server has forgotten that part of history."""

from __future__ import annotations

import json
import signal
import urllib.request
from pathlib import Path

import pytest
from tests.integration.operator_reconcile.gateways import (
    complete,
    gateway,
    teach_collector,
    wait_collected,
    wait_condition,
)
from tests.support.kubernetes import Cluster, eventually, our_own
from tests.support.operator_process import OperatorProcess, running_operator

pytestmark = pytest.mark.integration


def forget_history(cluster: Cluster) -> None:
    """Throw away all versions but the newest, and restart the API server, which cuts watches."""
    plane = our_own(cluster).control_plane
    found = json.loads(cluster.kubectl("get", "--raw", "/api/v1/namespaces?limit=1"))
    revision = found["metadata"]["resourceVersion"]
    plane.api_server.kill()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    body = json.dumps({"revision": revision, "physical": True}).encode()
    with opener.open(f"{plane.etcd_url}/v3/kv/compaction", data=body, timeout=30.0) as answer:
        assert answer.status == 200
    plane.api_server.start()
    plane.wait_ready()


def test_an_operator_that_slept_through_all_of_history_catches_up(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    plane = our_own(cluster).control_plane
    teach_collector(cluster, namespace)
    cluster.apply(gateway(), gateway("gone"), namespace=namespace)
    for name in ("llm", "gone"):
        wait_condition(cluster, namespace, "Ready", "ScaledToZero", name=name)
    operator.quiet()
    lists = operator.requests()["list"]
    operator.signal(signal.SIGSTOP)
    # Its watches end here: else it would find all that follows in their sockets.
    plane.api_server.kill()
    plane.api_server.start()
    plane.wait_ready()
    cluster.kubectl("delete", "service,deployment", "llm", "-n", namespace)
    cluster.delete("mcpgateway", "gone", namespace)
    cluster.apply(gateway("new"), namespace=namespace)
    wait_collected(cluster, namespace, "gone")
    forget_history(cluster)
    operator.signal(signal.SIGCONT)
    eventually(lambda: complete(cluster, namespace), "what was deleted is made again")
    eventually(lambda: complete(cluster, namespace, "new"), "what is new is made")
    eventually(
        lambda: operator.metric("mcp_gateway_operator_gateways") == 2,
        "it knows that one is gone",
    )
    # Until then it may have made objects for it.
    wait_collected(cluster, namespace, "gone")
    operator.quiet()
    assert operator.requests()["list"] > lists
    assert not operator.lines("reconcile broke")
    assert operator.get("/livez")[0] == 200


def test_a_full_resync_looks_at_everything_and_writes_nothing(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with running_operator(cluster, namespace, tmp_path, "--resync", "2") as operator:
        cluster.apply(gateway(), gateway("other"), namespace=namespace)
        for name in ("llm", "other"):
            wait_condition(cluster, namespace, "Ready", "ScaledToZero", name=name)
        writes = operator.quiet()
        looks = operator.metric("mcp_gateway_operator_reconcile_seconds_count")
        eventually(
            lambda: operator.metric("mcp_gateway_operator_reconcile_seconds_count") >= looks + 4,
            "both were looked at twice more",
        )
        assert operator.writes() == writes
