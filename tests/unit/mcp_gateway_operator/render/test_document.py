"""What pods read, and when it counts as another document."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_gateway_operator import render
from mcp_gateway_operator.render.secret import data_key, references


def gateway(name: str = "llm", **spec: Any) -> render.Gateway:
    provider = {"name": "kimi", "type": "simulator", "simulator": {"wire": "kimi"}}
    resource = {
        "apiVersion": "gateway.exai.dev/v1alpha1",
        "kind": "MCPGateway",
        "metadata": {"name": name, "namespace": "ai", "uid": "u", "annotations": {}},
        "spec": {"providers": [provider], **spec},
    }
    return render.Gateway.read(resource)


def changed(before: dict[str, Any], after: dict[str, Any]) -> bool:
    one, two = gateway(**before), gateway(**after)
    return render.digest(render.document(one)) != render.digest(render.document(two))


@pytest.mark.parametrize(
    "spec",
    [
        {"replicas": 5},
        {"autoscaling": {"maxReplicas": 9}},
        {"image": "other:1"},
        {"podTemplate": {"spec": {"nodeName": "x"}}},
        {"service": {"type": "NodePort"}},
        {"rollout": {"strategy": "Canary"}},
        {"monitoring": {"podMonitor": True}},
    ],
)
def test_what_only_the_operator_acts_on_pushes_nothing(spec: dict[str, Any]) -> None:
    assert not changed({}, spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"logging": {"level": "debug"}},
        {"retry": {"maxRetries": 1}},
        {"tuning": {"mode": "Auto"}},
        {"monitoring": {"tracing": {"otlpEndpoint": "http://otel:4318"}}},
        {"rateLimit": {"requests": 5}},
    ],
)
def test_what_concerns_pods_is_another_document(spec: dict[str, Any]) -> None:
    assert changed({}, spec)


def test_replicas_count_where_a_limit_is_divided_by_them() -> None:
    limited = {
        "name": "kimi", "type": "kimi", "limits": {"concurrency": 100},
        "apiKey": {"secretRef": {"name": "kimi", "key": "api-key"}},
    }  # fmt: skip
    assert changed({"providers": [limited], "replicas": 2}, {"providers": [limited], "replicas": 4})


def test_ports_that_the_system_would_choose_are_fixed() -> None:
    spec = render.document(gateway(server={"port": 0, "adminPort": 0}))["spec"]
    assert (spec["server"]["port"], spec["server"]["adminPort"]) == (8079, 9079)
    assert spec["server"]["adminHost"] == "0.0.0.0"  # noqa: S104


def test_a_gateway_without_keys_is_given_one() -> None:
    without = gateway()
    assert without.needs_client_key
    source = render.document(without)["spec"]["auth"]["apiKeys"]
    assert source == {"secretRef": {"name": "llm-client", "key": "keys"}}
    assert ("llm-client", "keys") in references(without)
    own = gateway(auth={"apiKeys": {"secretRef": {"name": "mine", "key": "keys"}}})
    assert not own.needs_client_key
    assert references(own) == [("mine", "keys")]
    open_to_all = gateway(server={"host": "127.0.0.1"}, auth={"anonymous": True})
    assert not open_to_all.needs_client_key


def test_certificates_are_secrets_that_a_document_names() -> None:
    found = gateway(server={"tls": {"secretName": "cert"}}).secret_references()
    assert found == [("cert", "tls.crt"), ("cert", "tls.key")]


def test_no_two_references_share_a_key() -> None:
    assert data_key("a.b", "c") != data_key("a", "b.c")
    long = data_key("n" * 200, "k" * 200)
    assert len(long) == 64


def test_what_cannot_be_made_is_named() -> None:
    asked = gateway(httpRoute={"parentRefs": [{"name": "edge"}]}, monitoring={"podMonitor": True})
    nowhere = render.Context(apis=frozenset())
    assert render.unavailable(asked, nowhere) == [
        "HTTPRoute (gateway.networking.k8s.io/v1)",
        "PodMonitor (monitoring.coreos.com/v1)",
    ]
    kinds = {each["kind"] for each in render.objects(asked, nowhere)}
    assert not kinds & {"HTTPRoute", "PodMonitor"}
    assert render.unavailable(asked, render.Context()) == []


def test_the_same_gateway_is_rendered_the_same() -> None:
    once, again = (render.objects(gateway(), render.Context()) for _ in range(2))
    assert once == again
    other = render.objects(gateway(logging={"level": "debug"}), render.Context())
    differing = [one["kind"] for one, two in zip(once, other, strict=True) if one != two]
    assert differing == ["ConfigMap"]
