"""Pods that misbehave on their control channel: the operator and the other gateways go on."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cluster.hostile_peer import MODES
from tests.integration.operator_reconcile.gateways import condition, gateway, wait_condition
from tests.support.kubernetes import Cluster, Object, eventually, our_own
from tests.support.operator_process import OperatorProcess

from mcp_gateway_operator.render.gateway import CONTROL_PORT
from mcp_gateway_operator.render.pod_template import CONTROL_DIR

pytestmark = pytest.mark.integration

ADMIN_PORT = 9079
WHY = {
    "noise": "TLS with the control port failed",
    "hang": "the control port did not answer within",
    "mute": "the pod accepted the channel and says nothing",
    "liar": "the pod sends garbage",
    "flood": "the pod floods the channel",
    "giant": "we closed the channel",
}


def hostile(mode: str) -> Object:
    """A gateway whose pod runs another program."""
    container = {
        "name": "gateway",
        "command": ["python3", "-m", "tests.cluster.hostile_peer"],
        "args": [mode, CONTROL_DIR, str(ADMIN_PORT), str(CONTROL_PORT)],
    }
    return gateway(mode, replicas=1, podTemplate={"spec": {"containers": [container]}})


def test_hostile_pods_harm_nobody_and_are_named(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    our_own(cluster)  # its pods run this tree's programs
    cluster.apply(*(hostile(mode) for mode in MODES), namespace=namespace)
    for mode in MODES:
        wait_condition(cluster, namespace, "Ready", "Serving", name=mode)

    def complaints(mode: str) -> list[dict[str, Any]]:
        lines = operator.lines("no control channel")
        return [
            line
            for line in lines
            if line["pod"].startswith(f"{mode}-") and line["why"].startswith(WHY[mode])
        ]

    for mode in MODES:
        eventually(lambda mode=mode: complaints(mode), f"the {mode} pod is named")  # type: ignore[misc]
    # They are dialed all the time, while an honest gateway is made, changed and served.
    cluster.apply(gateway(replicas=1), namespace=namespace)
    wait_condition(cluster, namespace, "ConfigApplied", "Applied")
    cluster.kubectl(
        "patch", "mcpgateway", "llm", "--namespace", namespace, "--type=merge", "-p",
        '{"spec": {"logging": {"level": "debug"}}}',
    )  # fmt: skip

    def applied() -> bool:
        status = cluster.get("mcpgateway", "llm", namespace)["status"]
        return bool(status["configGeneration"] == 2 and status["configApplied"] == "1/1")

    eventually(applied, "a change reaches the honest pod")
    for mode in MODES:

        def named(mode: str = mode) -> bool:
            found = condition(cluster, namespace, "ConfigApplied", mode)
            told = f"{mode}-" in found["message"] and WHY[mode] in found["message"]
            return bool(found["status"] != "True" and told)

        eventually(named, f"the condition names the {mode} pod and what it does")
        assert condition(cluster, namespace, "Ready", mode)["status"] == "True"
    assert operator.get("/livez")[0] == 200
    assert len(operator.lines("leading")) == 1
    assert not operator.lines("no longer leading")
    assert "Traceback" not in operator.log.read_text()
