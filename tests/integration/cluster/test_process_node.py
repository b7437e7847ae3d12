"""The process node runs pods as a kubelet does, but for the containers."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cluster.page_pods import (
    MOUNT,
    PORT,
    deployment,
    page_map,
    pod,
    pod_spec,
    service,
)
from tests.support.kubernetes import Cluster, eventually

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif("TEST_KUBECONFIG" in os.environ, reason="it is about our own node"),
]


def page(address: str, path: str = "") -> str:
    """Return a page of the server that runs in a pod."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{address}/{path}", timeout=30.0) as answer:
        text: str = answer.read().decode()
        return text


def started(cluster: Cluster, namespace: str, name: str) -> dict[str, Any]:
    cluster.wait("pod", name, "condition=Ready", namespace)
    return cluster.get("pod", name, namespace)


def restarts(cluster: Cluster, namespace: str, name: str) -> int:
    status = cluster.get("pod", name, namespace)["status"]
    return int(status["containerStatuses"][0]["restartCount"])


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def address(thing: dict[str, Any]) -> str:
    return f"{thing['status']['podIP']}:{PORT}"


def test_deployment_is_as_many_processes_with_addresses_of_their_own(
    cluster: Cluster, namespace: str
) -> None:
    web = deployment("web", pod_spec())
    cluster.apply(page_map("pages", hello="one"), web, service("web"), namespace=namespace)
    cluster.wait("deployment", "web", "condition=Available", namespace)
    pods = cluster.list("pods", namespace)
    addresses = {each["status"]["podIP"] for each in pods}
    pids = {cluster.pid(namespace, each["metadata"]["name"], "pages") for each in pods}
    assert len(addresses) == len(pids) == 2
    assert all(each.startswith("127.1.") for each in addresses)
    assert all(alive(pid) for pid in pids)
    assert {page(address(each)) for each in pods} == {each["metadata"]["name"] for each in pods}


def test_service_has_the_ready_pods_and_its_proxy_takes_turns(
    cluster: Cluster, namespace: str
) -> None:
    web = deployment("web", pod_spec())
    cluster.apply(page_map("pages"), web, service("web"), namespace=namespace)
    cluster.wait("deployment", "web", "condition=Available", namespace)
    with cluster.service(namespace, "web", 80) as proxy:
        eventually(lambda: len(proxy.endpoints()) == 2, "two ready endpoints")
        names = {page(proxy.address) for _ in range(4)}
        assert names == {each["metadata"]["name"] for each in cluster.list("pods", namespace)}
        cluster.kubectl("scale", "deployment", "web", "--replicas=1", "--namespace", namespace)
        eventually(lambda: len(proxy.endpoints()) == 1, "one ready endpoint")
        assert {page(proxy.address) for _ in range(3)} < names


def test_killed_process_is_restarted_and_counted(cluster: Cluster, namespace: str) -> None:
    cluster.apply(page_map("pages"), pod("one", pod_spec()), namespace=namespace)
    started(cluster, namespace, "one")
    first = cluster.pid(namespace, "one", "pages")
    os.kill(first, signal.SIGKILL)

    def restarted() -> Any:
        status = cluster.get("pod", "one", namespace)["status"]["containerStatuses"][0]
        return status if status["restartCount"] == 1 and status["ready"] else None

    status = eventually(restarted, "a second run that is ready")
    assert status["lastState"]["terminated"]["exitCode"] == 137
    assert cluster.pid(namespace, "one", "pages") != first


def test_deletion_sends_sigterm_and_waits_for_the_process(cluster: Cluster, namespace: str) -> None:
    linger = {"name": "LINGER", "value": "0.5"}
    cluster.apply(page_map("pages"), pod("one", pod_spec(env=[linger])), namespace=namespace)
    started(cluster, namespace, "one")
    pid = cluster.pid(namespace, "one", "pages")
    cluster.delete("pod", "one", namespace)
    assert not alive(pid)
    assert cluster.log(namespace, "one", "pages").splitlines()[-2:] == ["SIGTERM received", "ended"]


def test_process_that_ignores_sigterm_is_killed_when_its_grace_is_over(
    cluster: Cluster, namespace: str
) -> None:
    spec = pod_spec(env=[{"name": "LINGER", "value": "60"}])
    cluster.apply(page_map("pages"), pod("one", spec), namespace=namespace)
    started(cluster, namespace, "one")
    pid = cluster.pid(namespace, "one", "pages")
    cluster.kubectl("delete", "pod", "one", "--namespace", namespace, "--grace-period=1")
    assert not alive(pid)
    assert "ended" not in cluster.log(namespace, "one", "pages")


def test_forced_deletion_leaves_no_process(cluster: Cluster, namespace: str) -> None:
    cluster.apply(page_map("pages"), pod("one", pod_spec()), namespace=namespace)
    started(cluster, namespace, "one")
    pid = cluster.pid(namespace, "one", "pages")
    cluster.kubectl("delete", "pod", "one", "--namespace", namespace, "--force", "--grace-period=0")
    eventually(lambda: not alive(pid), "the process has ended")


def test_readiness_follows_its_probe(cluster: Cluster, namespace: str) -> None:
    probe = {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1}
    spec = pod_spec(readinessProbe={**probe, "failureThreshold": 1})
    cluster.apply(page_map("pages", ready="yes"), pod("one", spec), namespace=namespace)
    started(cluster, namespace, "one")
    cluster.apply(page_map("pages", other="yes"), namespace=namespace)
    cluster.wait("pod", "one", "condition=Ready=False", namespace)
    cluster.apply(page_map("pages", ready="yes"), namespace=namespace)
    started(cluster, namespace, "one")
    assert (
        cluster.get("pod", "one", namespace)["status"]["containerStatuses"][0]["restartCount"] == 0
    )


def test_failing_liveness_restarts_the_container(cluster: Cluster, namespace: str) -> None:
    probe = {"httpGet": {"path": "/live", "port": "http"}, "periodSeconds": 1}
    spec = pod_spec(livenessProbe={**probe, "failureThreshold": 2})
    cluster.apply(page_map("pages", live="yes"), pod("one", spec), namespace=namespace)
    started(cluster, namespace, "one")
    cluster.apply(page_map("pages", other="yes"), namespace=namespace)
    eventually(
        lambda: cluster.get("pod", "one", namespace)["status"]["containerStatuses"][0][
            "restartCount"
        ],
        "a restart",
    )


def test_mounted_files_change_all_at_once_and_keep_their_paths(
    cluster: Cluster, namespace: str
) -> None:
    cluster.apply(page_map("pages", a="1", b="1"), pod("one", pod_spec()), namespace=namespace)
    where = address(started(cluster, namespace, "one"))
    assert page(where, "a") == "1"
    cluster.apply(page_map("pages", a="2", c="2"), namespace=namespace)
    eventually(lambda: page(where, "a") == "2", "the new file")
    assert page(where, "c") == "2"
    with pytest.raises(urllib.error.HTTPError):
        page(where, "b")


def test_secret_is_mounted_at_the_paths_its_items_name(cluster: Cluster, namespace: str) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys"},
        "stringData": {"kimi.api-key": "sk-1", "other": "x"},
    }
    items = [{"key": "kimi.api-key", "path": "kimi/api-key"}]
    spec = pod_spec(volume={"secret": {"secretName": "keys", "items": items}})
    spec["containers"][0]["args"] = [f"{MOUNT}/kimi"]
    cluster.apply(secret, pod("one", spec), namespace=namespace)
    where = address(started(cluster, namespace, "one"))
    assert page(where, "api-key") == "sk-1"
    with pytest.raises(urllib.error.HTTPError):
        page(where, "other")
    cluster.apply({**secret, "stringData": {"kimi.api-key": "sk-2"}}, namespace=namespace)
    eventually(lambda: page(where, "api-key") == "sk-2", "the rotated key")


def test_variables_come_from_everywhere(cluster: Cluster, namespace: str) -> None:
    environment = [
        {"name": "GREETING", "valueFrom": {"configMapKeyRef": {"name": "pages", "key": "hello"}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "TEAM", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['team']"}}},
        {"name": "BOTH", "value": "$(GREETING) $(NAME) $(UNKNOWN)"},
        {"name": "FOLDER", "value": f"{MOUNT}/deep"},
    ]
    spec = pod_spec(env=environment, envFrom=[{"prefix": "P_", "configMapRef": {"name": "pages"}}])
    labelled = pod("one", spec, labels={"team": "blue"})
    cluster.apply(page_map("pages", hello="good day"), labelled, namespace=namespace)
    thing = started(cluster, namespace, "one")
    where = address(thing)
    assert page(where, "env/BOTH") == "good day one $(UNKNOWN)"
    assert page(where, "env/TEAM") == "blue"
    assert page(where, "env/P_hello") == "good day"
    assert page(where, "env/MCP_GATEWAY_BIND") == thing["status"]["podIP"]
    assert page(where, "env/FOLDER").endswith("/volumes/pages/deep")
    assert page(where, "env/TEST_KUBECONFIG") == ""


def test_pod_waits_for_a_missing_source_and_says_so(cluster: Cluster, namespace: str) -> None:
    reference = {"secretKeyRef": {"name": "later", "key": "key"}}
    spec = pod_spec(env=[{"name": "KEY", "valueFrom": reference}])
    cluster.apply(page_map("pages"), pod("one", spec), namespace=namespace)

    def waiting() -> Any:
        statuses = cluster.get("pod", "one", namespace)["status"].get("containerStatuses") or [{}]
        return statuses[0].get("state", {}).get("waiting", {}).get("message")

    eventually(lambda: waiting() == 'secret "later" not found', "the name of what is missing")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later"}}
    cluster.apply({**secret, "stringData": {"key": "here"}}, namespace=namespace)
    assert page(address(started(cluster, namespace, "one")), "env/KEY") == "here"


def test_image_with_the_tag_missing_is_never_pulled(cluster: Cluster, namespace: str) -> None:
    spec = pod_spec(image="mcp-gateway:missing")
    cluster.apply(page_map("pages"), pod("one", spec), namespace=namespace)

    def reason() -> Any:
        statuses = cluster.get("pod", "one", namespace)["status"].get("containerStatuses") or [{}]
        return statuses[0].get("state", {}).get("waiting", {}).get("reason")

    eventually(lambda: reason() == "ImagePullBackOff", "the reason")


def test_init_containers_go_first_and_a_job_ends(cluster: Cluster, namespace: str) -> None:
    shared = [{"name": "shared", "mountPath": "/shared"}]
    first = {"name": "first", "image": "debian", "command": ["sh", "-c", "echo 1 > /shared/a"]}
    second = {"name": "second", "image": "debian", "command": ["sh", "-c", "cat /shared/a"]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "job"},
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "initContainers": [{**first, "volumeMounts": shared}],
                    "containers": [{**second, "volumeMounts": shared}],
                    "volumes": [{"name": "shared", "emptyDir": {}}],
                }
            }
        },
    }
    cluster.apply(job, namespace=namespace)
    cluster.wait("job", "job", "condition=Complete", namespace)
    name = cluster.list("pods", namespace)[0]["metadata"]["name"]
    assert cluster.log(namespace, name, "second") == "1\n"


def test_kubectl_reads_and_follows_logs(cluster: Cluster, namespace: str) -> None:
    linger = {"name": "LINGER", "value": "2"}
    cluster.apply(page_map("pages"), pod("one", pod_spec(env=[linger])), namespace=namespace)
    started(cluster, namespace, "one")
    assert cluster.kubectl("logs", "one", "--namespace", namespace).startswith("serving\n")
    cluster.delete("pod", "one", namespace, wait=False)
    followed = cluster.kubectl("logs", "one", "--namespace", namespace, "--follow", "--tail=2")
    assert followed.splitlines()[-2:] == ["SIGTERM received", "ended"]


def test_pod_speaks_to_the_api_with_the_rights_of_its_account(
    cluster: Cluster, namespace: str
) -> None:
    script = "kubectl auth whoami -o jsonpath={.status.userInfo.username}"
    programs = str(cluster.environment()["PATH"].partition(":")[0])
    spec = {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "ask",
                "image": "debian",
                "command": ["sh", "-c", script],
                "env": [{"name": "PATH", "value": f"{programs}:/usr/bin:/bin"}],
            }
        ],
    }
    cluster.apply(pod("ask", spec), namespace=namespace)
    cluster.wait("pod", "ask", "jsonpath={.status.phase}=Succeeded", namespace)
    said = cluster.log(namespace, "ask", "ask")
    assert said == f"system:serviceaccount:{namespace}:default"
