"""The charts, from `helm install` to `helm uninstall`, with gateways that serve all the while."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.operator_cluster.installed import (
    CRD,
    DEFINITIONS,
    HELM_TIMEOUT,
    OPERATOR,
    RELEASE,
    SAMPLES,
    SYSTEM,
    Traffic,
    apply_sample,
    client_key,
    client_of,
    command,
    former_charts,
    helm_install,
    operator_log,
    question,
    remove_operator,
)
from tests.integration.operator_reconcile.gateways import COLLECTED_WITHIN
from tests.support import install_manifest
from tests.support.kubernetes import Cluster, CommandFailed, Object, eventually

pytestmark = pytest.mark.integration

OPERATORS = f"app.kubernetes.io/name={OPERATOR}"


@pytest.fixture
def installed(cluster: Cluster) -> Cluster:
    """The cluster with both charts, the operator in two replicas."""
    helm_install(cluster, DEFINITIONS, namespace="default")
    helm_install(cluster, RELEASE, "--set", "replicas=2")
    return cluster


@pytest.fixture
def bare(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with the definition of the resource, and no operator; nor is one left."""
    remove_operator(cluster)
    helm_install(cluster, DEFINITIONS, namespace="default")
    yield cluster
    remove_operator(cluster)


def ready(cluster: Cluster, name: str, namespace: str) -> None:
    cluster.wait("mcpgateway", name, "condition=Ready", namespace)


def test_from_helm_install_to_an_answer_of_a_pod(installed: Cluster, namespace: str) -> None:
    installed.helm("test", RELEASE, "--namespace", SYSTEM, "--timeout=240s", timeout=HELM_TIMEOUT)
    apply_sample(installed, "mcpgateway", namespace)
    ready(installed, "demo", namespace)
    with client_of(installed, "demo", namespace) as client:
        assert client.chat(question()).content
        assert client.chat(question("glm")).content
    # Every right that is used is given: an operator that lacks one says so here.
    assert "forbidden" not in operator_log(installed).lower()


def test_the_command_shows_what_runs_and_what_would_change(
    installed: Cluster, namespace: str
) -> None:
    apply_sample(installed, "mcpgateway", namespace)
    ready(installed, "demo", namespace)
    installed.wait("mcpgateway", "demo", "condition=ConfigApplied", namespace)

    shown = command(installed, "status", "demo", "--namespace", namespace)
    assert shown.returncode == 0, shown.stderr
    assert "True" in shown.stdout
    assert "2/2" in shown.stdout
    listed = command(installed, "status", "--all-namespaces", "--json")
    everywhere = json.loads(listed.stdout)["gateways"]
    (found,) = [each for each in everywhere if each["namespace"] == namespace]
    assert found["name"] == "demo"
    assert found["ready"]
    assert len(found["pods"]) == 2

    sample = (SAMPLES / "mcpgateway.yaml").read_text(encoding="utf-8")
    same = command(installed, "diff", "-", "--namespace", namespace, text=sample)
    assert same.returncode == 0, same.stdout + same.stderr
    three = sample.replace("replicas: 2", "replicas: 3")
    other = command(installed, "diff", "-", "--namespace", namespace, "--json", text=three)
    assert other.returncode == 1, other.stdout + other.stderr
    changed = {each["object"] for each in json.loads(other.stdout)["changes"]}
    assert f"MCPGateway/{namespace}/demo" in changed
    assert f"Deployment/{namespace}/demo" in changed
    assert f"Service/{namespace}/demo" not in changed

    fresh = sample.replace("name: demo", "name: fresh")
    made = command(installed, "diff", "-", "--namespace", namespace, "--json", text=fresh)
    assert made.returncode == 1, made.stdout + made.stderr
    assert {each["change"] for each in json.loads(made.stdout)["changes"]} == {"made"}
    assert installed.find("mcpgateway", "fresh", namespace) is None

    wrong = sample.replace("replicas: 2", "replicas: -1")
    refused = command(installed, "diff", "-", "--namespace", namespace, text=wrong)
    assert refused.returncode == 2
    assert "replicas" in refused.stderr


def test_an_upgrade_from_the_commit_before_drops_no_request(
    installed: Cluster, namespace: str, tmp_path: Path
) -> None:
    before_us = former_charts(tmp_path)
    helm_install(installed, RELEASE, "--set", "replicas=2", charts=before_us)
    apply_sample(installed, "mcpgateway", namespace)
    ready(installed, "demo", namespace)
    before = {pod["metadata"]["name"] for pod in pods(installed, namespace)}
    key = client_key(installed, "demo", namespace)
    with installed.service(namespace, "demo", 8079) as service, Traffic(service, key) as traffic:
        eventually(lambda: traffic.answered >= 5, "the first answers")
        # Another image: the operator's pods are replaced, and then the gateway's, by the new one.
        helm_install(installed, RELEASE, "--set", "replicas=2,image.tag=next,gatewayImage.tag=next")
        eventually(
            lambda: before.isdisjoint(
                pod["metadata"]["name"] for pod in pods(installed, namespace)
            ),
            "every pod of the gateway is a new one",
            timeout=240.0,
        )
        ready(installed, "demo", namespace)
        so_far = traffic.answered
        eventually(lambda: traffic.answered >= so_far + 5, "answers of the new pods")
    assert traffic.failures == []
    images = {each["spec"]["containers"][0]["image"] for each in pods(installed, namespace)}
    assert images == {"mcp-gateway:next"}


def test_uninstalling_leaves_the_resource_and_the_gateways(
    installed: Cluster, namespace: str
) -> None:
    apply_sample(installed, "mcpgateway", namespace)
    ready(installed, "demo", namespace)
    installed.helm("uninstall", RELEASE, "--namespace", SYSTEM, "--wait", timeout=HELM_TIMEOUT)
    for kind in ("deployment", "lease", "serviceaccount", "networkpolicy", "poddisruptionbudget",
                 "role", "rolebinding"):  # fmt: skip
        names = {each["metadata"]["name"] for each in installed.list(kind, SYSTEM)}
        assert not {name for name in names if name.startswith(OPERATOR)}, kind
    assert installed.find("secret", f"{OPERATOR}-ca", SYSTEM) is None
    roles = installed.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name")
    assert OPERATOR not in roles

    installed.helm("uninstall", DEFINITIONS, "--namespace", "default", "--wait")
    assert installed.find("customresourcedefinition", CRD) is not None
    with client_of(installed, "demo", namespace) as client:
        assert client.chat(question()).content
    # And nothing stands in the way of deleting it while no operator runs.
    installed.delete("mcpgateway", "demo", namespace)
    installed.wait("deployment", "demo", "delete", namespace, COLLECTED_WITHIN)


def test_in_named_namespaces_there_is_no_right_anywhere_else(bare: Cluster, namespace: str) -> None:
    cluster = bare
    with cluster.namespace("other") as other, cluster.namespace("system") as system:
        helm_install(cluster, RELEASE, "--set", f"watchNamespaces={{{namespace}}}",
                     namespace=system)  # fmt: skip
        for where in (namespace, other):
            apply_sample(cluster, "mcpgateway", where)
        ready(cluster, "demo", namespace)
        assert cluster.find("deployment", "demo", other) is None
        account = f"--as=system:serviceaccount:{system}:{OPERATOR}"
        with pytest.raises(CommandFailed):
            cluster.kubectl("auth", "can-i", "list", "secrets", "--namespace", other, account)
        with pytest.raises(CommandFailed):
            cluster.kubectl("auth", "can-i", "get", "pods", "--all-namespaces", account)
        cluster.helm("uninstall", RELEASE, "--namespace", system, "--wait", timeout=HELM_TIMEOUT)


def test_one_file_does_the_same_without_helm(bare: Cluster, namespace: str) -> None:
    cluster = bare
    arguments = ("apply", "--server-side", "--force-conflicts", "-f", str(install_manifest.FILE))
    cluster.kubectl(*arguments)
    cluster.wait("deployment", OPERATOR, "condition=Available", SYSTEM)
    apply_sample(cluster, "mcpgateway", namespace)
    ready(cluster, "demo", namespace)
    with client_of(cluster, "demo", namespace) as client:
        assert client.chat(question()).content
    cluster.kubectl("delete", "--ignore-not-found", "-f", str(install_manifest.FILE))
    assert cluster.find("customresourcedefinition", CRD) is None


def test_the_file_is_current() -> None:
    assert install_manifest.FILE.read_text(encoding="utf-8") == install_manifest.text()


def pods(cluster: Cluster, namespace: str) -> list[Object]:
    """Return the pods of the gateway that are to stay."""
    selector = "app.kubernetes.io/instance=demo"
    found = cluster.list("pods", namespace, selector)
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]
