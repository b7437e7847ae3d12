"""What was seen of the cluster, whatever order it came in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mcp_gateway_operator.cluster.item import Partial, PodItem, Workload
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.reconcile.pod import read_pod
from mcp_gateway_operator.reconcile.store import Child, Store, newer
from mcp_gateway_operator.render.gateway import MANAGER
from mcp_gateway_operator.render.kind import (
    DEPLOYMENT,
    HTTP_ROUTE,
    POD,
    POD_MONITOR,
    PROMETHEUS_RULE,
    SECRET,
    SERVICE,
    Kind,
)

KEY = Key("n", "llm")
LABELS = {
    "app.kubernetes.io/managed-by": MANAGER,
    "app.kubernetes.io/instance": "llm",
}


class Seen:
    """A store, and the keys it told of since they were last asked for."""

    def __init__(self) -> None:
        self.told: list[Key] = []
        self.store = Store(self.told.append)

    def new(self) -> list[Key]:
        told, self.told[:] = list(self.told), []
        return told

    def child(self, name: str = "llm", kind: Kind = SERVICE) -> Child:
        return self.store.children(KEY)[kind.name, name]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def metadata(name: str = "llm", version: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "namespace": "n", "uid": f"uid-{name}", "resourceVersion": str(version),
        "labels": LABELS, "annotations": {"gateway.exai.dev/applied": "d", "other": "x"},
        "ownerReferences": [{"uid": "owner", "kind": "MCPGateway"}],
        "managedFields": [{"manager": MANAGER, "operation": "Apply", "time": "1",
                           "fieldsV1": {"f:spec": {}}}],
        **more,
    }  # fmt: skip


def workload(version: int = 1, ready: int = 0) -> Workload:
    status = {"readyReplicas": ready}
    return msgspec.json.decode(
        msgspec.json.encode({"metadata": metadata(version=version), "status": status}),
        type=Workload,
    )


def decoded(name: str = "llm", version: int = 1, **more: Any) -> Partial:
    text = msgspec.json.encode({"metadata": metadata(name, version, **more)})
    return msgspec.json.decode(text, type=Partial)


def resource(version: int = 1, uid: str = "u", **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.exai.dev/v1alpha1",
        "kind": "MCPGateway",
        "metadata": {
            "name": "llm", "namespace": "n", "uid": uid, "resourceVersion": str(version),
            "generation": 1, "managedFields": [{"manager": "kubectl"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "long"},
        },
        "spec": {"replicas": 1},
        **more,
    }  # fmt: skip


def test_a_resource_is_kept_without_what_nobody_reads(seen: Seen) -> None:
    seen.store.put(resource())
    assert seen.new() == [KEY]
    content = seen.store.resources[KEY].read()
    assert content["metadata"] == {
        "name": "llm", "namespace": "n", "uid": "u", "generation": 1, "annotations": {},
    }  # fmt: skip
    assert content["spec"] == {"replicas": 1}
    assert seen.store.resources[KEY].read_status() == {}


def test_an_older_version_replaces_nothing(seen: Seen) -> None:
    seen.store.put(resource(5))
    seen.store.put(resource(4, spec={"replicas": 9}))
    seen.store.put(resource(6))
    assert seen.new() == [KEY]
    assert seen.store.resources[KEY].version == "6"


def test_only_the_resource_that_is_meant_is_dropped(seen: Seen) -> None:
    seen.store.put(resource(uid="new"))
    seen.store.drop(KEY, "old")
    assert KEY in seen.store.resources
    seen.store.drop(KEY, "new")
    seen.store.drop(KEY, "new")
    assert seen.new() == [KEY, KEY]


def test_a_child_is_filed_under_its_gateway(seen: Seen) -> None:
    seen.store.seen(SERVICE, decoded())
    assert seen.new() == [KEY]
    child = seen.child()
    assert (child.owner, child.applied, child.drifted) == ("owner", "d", False)
    assert child.annotations == {}
    seen.store.seen(SERVICE, decoded())
    assert seen.new() == []
    seen.store.seen(SERVICE, decoded("x", labels={}))
    assert seen.new() == []


def test_drift_is_what_differs_from_our_last_write(seen: Seen) -> None:
    seen.store.seen(SERVICE, decoded(version=1))
    taken = [{"manager": MANAGER, "operation": "Apply", "time": "1", "fieldsV1": {}}]
    seen.store.seen(SERVICE, decoded(version=2, managedFields=taken))
    assert seen.child().drifted
    assert seen.child().found
    seen.store.settle(SERVICE, decoded(version=3))
    assert not seen.child().drifted
    seen.store.seen(SERVICE, decoded(version=2, managedFields=taken))
    assert not seen.child().drifted


def test_a_workload_has_its_status(seen: Seen) -> None:
    seen.store.seen(DEPLOYMENT, workload(1))
    seen.store.seen(DEPLOYMENT, workload(2, ready=1))
    status = seen.child(kind=DEPLOYMENT).status
    assert status is not None
    assert status.ready_replicas == 1


def test_what_is_gone_is_told_of_and_a_namesake_stays(seen: Seen) -> None:
    seen.store.seen(SERVICE, decoded(version=5))
    seen.new()
    seen.store.gone(SERVICE, decoded(version=4, uid="another"))
    assert seen.new() == []
    seen.store.gone(SERVICE, decoded(version=6))
    assert seen.new() == [KEY]
    assert not seen.store.children(KEY)


def test_a_list_ends_what_it_does_not_name(seen: Seen) -> None:
    seen.store.seen(SERVICE, decoded("a"))
    seen.store.seen(SERVICE, decoded("b"))
    seen.store.seen(SECRET, decoded("a"))
    seen.store.listed(SERVICE, "elsewhere", set())
    seen.store.listed(SERVICE, None, {("n", "b")})
    assert set(seen.store.children(KEY)) == {("Service", "b"), ("Secret", "a")}
    seen.store.listed(SECRET, None, set())
    assert seen.store.secret_version("n", "a") == ""


def test_a_gateway_is_told_of_the_secrets_it_names(seen: Seen) -> None:
    seen.store.use(KEY, ["kimi"])
    seen.store.seen(SECRET, decoded("kimi", 1, labels={}))
    assert (seen.new(), seen.store.secret_version("n", "kimi")) == ([KEY], "1")
    seen.store.seen(SECRET, decoded("kimi", 1, labels={}))
    seen.store.seen(SECRET, decoded("other", 1, labels={}))
    assert seen.new() == []
    seen.store.gone(SECRET, decoded("kimi", 2, labels={}))
    assert (seen.new(), seen.store.secret_version("n", "kimi")) == ([KEY], "")
    seen.store.use(KEY, [])
    seen.store.seen(SECRET, decoded("kimi", 3, labels={}))
    assert seen.new() == []


def test_an_optional_api_that_appears_is_told_to_all(seen: Seen) -> None:
    seen.store.put(resource())
    seen.new()
    seen.store.present(SERVICE, True)
    seen.store.present(HTTP_ROUTE, False)
    assert seen.new() == []
    seen.store.present(HTTP_ROUTE, True)
    seen.store.present(HTTP_ROUTE, True)
    assert seen.new() == [KEY]
    assert HTTP_ROUTE.name in seen.store.apis
    seen.store.present(HTTP_ROUTE, False)
    assert HTTP_ROUTE.name not in seen.store.apis
    # Of one API group and version, one kind may be there and another not.
    seen.new()
    seen.store.present(POD_MONITOR, True)
    seen.store.present(PROMETHEUS_RULE, False)
    assert seen.new() == [KEY]
    assert seen.store.apis >= {POD_MONITOR.name}
    assert PROMETHEUS_RULE.name not in seen.store.apis


def pod(**status: Any) -> PodItem:
    text = msgspec.json.encode({"metadata": metadata("p"), "status": status})
    return msgspec.json.decode(text, type=PodItem)


def test_pods_are_read_and_told_of_when_they_change(seen: Seen) -> None:
    running = pod(podIP="10.0.0.1", conditions=[{"type": "Ready", "status": "True"}])
    seen.store.seen(POD, running)
    seen.store.seen(POD, running)
    assert seen.new() == [KEY]
    (found,) = seen.store.pods(KEY)
    assert (found.name, found.ip, found.ready, found.failing) == ("p", "10.0.0.1", True, "")
    seen.store.gone(POD, running)
    assert (seen.new(), seen.store.pods(KEY)) == ([KEY], ())
    seen.store.seen(POD, running)
    seen.store.listed(POD, None, set())
    assert seen.store.pods(KEY) == ()


@pytest.mark.parametrize(
    ("status", "failing", "said"),
    [
        (
            {"containerStatuses": [
                {"name": "gateway", "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                 "lastState": {"terminated": {"reason": "Error", "exitCode": 2}}}]},
            "CrashLoopBackOff", "ended with exit status 2: Error",
        ),
        (
            {"initContainerStatuses": [
                {"name": "i", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}]},
            "ErrImagePull", "no",
        ),
        (
            {"containerStatuses": [
                {"name": "g", "state": {"waiting": {"reason": "ContainerCreating"}}}]},
            "", "",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False",
                             "reason": "Unschedulable", "message": "0/2 nodes"}]},
            "Unschedulable", "0/2 nodes",
        ),
    ],
)  # fmt: skip
def test_a_pod_that_does_not_run_says_why(status: dict[str, Any], failing: str, said: str) -> None:
    found = read_pod(pod(**status))
    assert found.failing == failing
    assert said in found.message


@pytest.mark.parametrize(
    ("phase", "ended"), [("Running", False), ("Succeeded", True), ("Failed", True)]
)
def test_a_pod_has_ended_when_its_containers_have(phase: str, ended: bool) -> None:
    found = read_pod(pod(phase=phase))
    assert (found.ended, found.deleting) == (ended, ended)


def test_versions_are_numbers_that_grow() -> None:
    assert newer("10", "9")
    assert not newer("9", "10")
    assert not newer("9", "9")
    assert newer("x", "9")
