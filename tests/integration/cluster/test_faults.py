"""Pods go on while parts of the cluster are away, and the cluster hears of it afterwards."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cluster.page_pods import deployment, page_map, pod_spec
from tests.support.kubernetes import Cluster, eventually, our_own

pytestmark = pytest.mark.integration


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_pod_is_restarted_while_the_api_server_is_away(cluster: Cluster, namespace: str) -> None:
    plane = our_own(cluster).control_plane
    web = deployment("web", pod_spec(), replicas=1)
    cluster.apply(page_map("pages"), web, namespace=namespace)
    cluster.wait("deployment", "web", "condition=Available", namespace)
    [pod] = cluster.list("pods", namespace)
    name = pod["metadata"]["name"]
    pid = cluster.pid(namespace, name, "pages")
    plane.api_server.kill()
    try:
        os.kill(pid, signal.SIGKILL)
        eventually(
            lambda: cluster.log(namespace, name, "pages").count("serving\n") == 2, "a second run"
        )
    finally:
        plane.api_server.start()
        plane.wait_ready()

    def told() -> Any:
        status = cluster.get("pod", name, namespace)["status"]["containerStatuses"][0]
        return status["restartCount"] == 1 and status["ready"]

    eventually(told, "the API knows of the second run")


def test_pods_of_a_killed_node_end_with_it_and_run_again_when_it_is_back(
    cluster: Cluster, namespace: str
) -> None:
    nodes = our_own(cluster).nodes
    web = deployment("web", pod_spec(), replicas=2)
    cluster.apply(page_map("pages"), web, namespace=namespace)
    cluster.wait("deployment", "web", "condition=Available", namespace)
    pods = cluster.list("pods", namespace)
    name = pods[0]["spec"]["nodeName"]
    there = [each["metadata"]["name"] for each in pods if each["spec"]["nodeName"] == name]
    pids = [cluster.pid(namespace, each, "pages") for each in there]
    nodes[name].kill()
    try:
        eventually(lambda: not any(map(alive, pids)), "its pods have ended")
    finally:
        nodes[name].start()

    def again() -> Any:
        statuses = [
            cluster.get("pod", each, namespace)["status"]["containerStatuses"][0] for each in there
        ]
        return all(status["restartCount"] == 1 and status["ready"] for status in statuses)

    eventually(again, "the same pods run again")
