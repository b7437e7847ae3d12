"""The status says what is the matter, and Events tell it once."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.operator_reconcile.gateways import (
    condition,
    events,
    gateway,
    keyed,
    secret,
    value,
    wait_condition,
)
from tests.support.kubernetes import Cluster, Object, eventually
from tests.support.operator_process import OperatorProcess

pytestmark = pytest.mark.integration


def compiled(cluster: Cluster, namespace: str) -> Object:
    return cluster.get("secret", "llm-secrets", namespace)


def test_a_missing_secret_and_a_missing_key_are_named(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(gateway(replicas=1, providers=[keyed()]), namespace=namespace)
    found = wait_condition(cluster, namespace, "Degraded", "SecretMissing")
    assert found["message"] == "Secret kimi does not exist"
    assert wait_condition(cluster, namespace, "Ready", "SecretMissing")["status"] == "False"
    cluster.apply(secret("kimi", other="x"), namespace=namespace)
    eventually(
        lambda: (
            condition(cluster, namespace, "Degraded")["message"] == "Secret kimi has no key api-key"
        ),
        "the key is named",
    )
    cluster.apply(secret("kimi", api_key="one"), namespace=namespace)
    eventually(
        lambda: condition(cluster, namespace, "Degraded")["reason"] != "SecretMissing",
        "nothing is missing",
    )
    assert value(compiled(cluster, namespace), "kimi..api-key") == "one"
    notes = {"Secret kimi does not exist", "Secret kimi has no key api-key"}
    eventually(
        lambda: {event["note"] for event in events(cluster, namespace, "SecretMissing")} == notes,
        "Events tell",
    )


def test_a_rotated_secret_is_compiled_again_and_restarts_nothing(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(secret("kimi", api_key="one"), namespace=namespace)
    cluster.apply(gateway(providers=[keyed()]), namespace=namespace)
    wait_condition(cluster, namespace, "Ready", "ScaledToZero")
    before = cluster.get("deployment", "llm", namespace)["metadata"]["generation"]
    cluster.apply(secret("kimi", api_key="two"), namespace=namespace)
    eventually(
        lambda: value(compiled(cluster, namespace), "kimi..api-key") == "two", "it has the new one"
    )
    assert cluster.get("deployment", "llm", namespace)["metadata"]["generation"] == before


def test_a_key_for_clients_is_made_where_none_is_named_and_stays(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(gateway(), namespace=namespace)
    wait_condition(cluster, namespace, "Ready", "ScaledToZero")
    key = value(cluster.get("secret", "llm-client", namespace), "api-key")
    assert key.startswith("mgw_")
    operator.quiet()
    assert "sha256:" in value(compiled(cluster, namespace), "llm-client..keys")
    assert key not in operator.log.read_text()
    assert value(cluster.get("secret", "llm-client", namespace), "api-key") == key


@pytest.mark.parametrize(
    ("spec", "reason", "said"),
    [
        (
            {"podTemplate": {"spec": {"restartPolicy": "Sometimes"}}},
            "ApplyRefused",
            "Deployment llm",
        ),
        (
            {"httpRoute": {"parentRefs": [{"name": "edge"}]}},
            "APIMissing",
            "HTTPRoute (gateway.networking.k8s.io/v1)",
        ),
    ],
    ids=["a template the API server refuses", "an API that is not there"],
)
def test_what_only_the_cluster_can_know_is_a_condition_and_an_event(
    cluster: Cluster,
    namespace: str,
    operator: OperatorProcess,
    spec: dict[str, Any],
    reason: str,
    said: str,
) -> None:
    cluster.apply(gateway(**spec), namespace=namespace)
    found = wait_condition(cluster, namespace, "Degraded", reason)
    assert said in found["message"]
    told = eventually(lambda: events(cluster, namespace, reason), "an Event tells")
    assert told[0]["type"] == "Warning"
    assert len(told) == 1
    cluster.apply(gateway(), namespace=namespace)
    cluster.kubectl(
        "patch", "mcpgateway", "llm", "--namespace", namespace, "--type=merge", "-p",
        '{"spec": {"podTemplate": null, "httpRoute": null}}',
    )  # fmt: skip
    wait_condition(cluster, namespace, "Degraded", "AsExpected")


def test_a_volume_that_cannot_grow_is_told_of_with_the_way_out(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    def recorded(size: str) -> Object:
        return gateway(recording={"spool": {"storage": "persistent", "size": size}})

    cluster.apply(recorded("1Gi"), namespace=namespace)
    wait_condition(cluster, namespace, "Ready", "ScaledToZero")
    # The definition lets no size change; who goes round that way finds the next wall.
    cluster.kubectl("delete", "mcpgateway", "llm", "-n", namespace, "--cascade=orphan")
    cluster.apply(recorded("2Gi"), namespace=namespace)
    found = wait_condition(cluster, namespace, "Degraded", "ApplyRefused")
    assert found["status"] == "True"
    assert found["message"].startswith("StatefulSet llm: ")
    assert "delete the StatefulSet with --cascade=orphan" in found["message"]
    told = eventually(lambda: events(cluster, namespace, "ApplyRefused"), "an Event tells")
    assert told[0]["type"] == "Warning"
    kept = cluster.get("statefulset", "llm", namespace)
    cluster.kubectl("delete", "statefulset", "llm", "-n", namespace, "--cascade=orphan")
    wait_condition(cluster, namespace, "Degraded", "AsExpected")
    made_anew = cluster.get("statefulset", "llm", namespace)
    assert made_anew["metadata"]["uid"] != kept["metadata"]["uid"]


def test_a_pod_that_crashes_is_told_of_with_its_last_words(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    crash = {"spec": {"containers": [{"name": "gateway", "command": ["false"]}]}}
    cluster.apply(gateway(replicas=1, podTemplate=crash), namespace=namespace)
    found = wait_condition(cluster, namespace, "Degraded", "CrashLoopBackOff")
    assert "exit status 1" in found["message"]
    assert condition(cluster, namespace, "Ready")["status"] == "False"


def test_a_name_that_no_service_can_have_is_told_of(
    cluster: Cluster, namespace: str, operator: OperatorProcess
) -> None:
    cluster.apply(gateway("dotted.name"), namespace=namespace)
    found = wait_condition(cluster, namespace, "Ready", "InvalidSpec", name="dotted.name")
    assert found["message"].startswith("metadata.name")
    operator.quiet()
    assert not operator.lines("reconcile broke")
