"""What is made of a gateway for those who watch it."""

from __future__ import annotations

import json
from typing import Any

from mcp_gateway_operator.render import Context, Gateway, objects, unavailable
from mcp_gateway_operator.render.dashboard import FILES, LABEL, dashboard
from mcp_gateway_operator.render.prometheus_rule import prometheus_rule


def gateway(name: str = "llm", **monitoring: object) -> Gateway:
    return Gateway.read(
        {
            "apiVersion": "gateway.exai.dev/v1alpha1",
            "kind": "MCPGateway",
            "metadata": {"name": name, "namespace": "ai", "uid": "u", "generation": 1},
            "spec": {
                "providers": [{"name": "kimi", "type": "simulator"}],
                "monitoring": monitoring,
            },
        }
    )


def made(what: Gateway, context: Context | None = None) -> set[tuple[str, str]]:
    rendered = objects(what, context or Context())
    return {(each["kind"], each["metadata"]["name"]) for each in rendered}


def boards(name: str) -> dict[str, dict[str, Any]]:
    rendered = dashboard(gateway(name, dashboard=True))
    assert rendered is not None
    assert rendered["metadata"]["labels"][LABEL] == "1"
    return {file: json.loads(text) for file, text in rendered["data"].items()}


def test_nothing_is_made_unless_it_is_asked_for() -> None:
    kinds = {kind for kind, _ in made(gateway())}
    assert not kinds & {"PodMonitor", "PrometheusRule"}
    assert ("ConfigMap", "llm-dashboards") not in made(gateway())


def test_everything_is_made_where_it_is() -> None:
    asked = gateway(podMonitor=True, prometheusRule=True, dashboard=True)
    wanted = {("PodMonitor", "llm"), ("PrometheusRule", "llm"), ("ConfigMap", "llm-dashboards")}
    assert wanted <= made(asked)
    without = Context(apis=frozenset())
    assert wanted & made(asked, without) == {("ConfigMap", "llm-dashboards")}
    assert len(unavailable(asked, without)) == 2


def test_dashboards_are_of_one_gateway_with_nothing_to_choose() -> None:
    for file, board in boards("llm").items():
        variables = {each["name"]: each for each in board["templating"]["list"]}
        assert variables["gateway"] | {"query": "llm", "type": "constant"} == variables["gateway"]
        assert variables["namespace"]["current"]["value"] == "ai"
        assert board["title"].endswith("of ai/llm"), file


def test_two_gateways_dashboards_do_not_replace_each_other() -> None:
    uids = [board["uid"] for name in ("llm", "other") for board in boards(name).values()]
    assert len(set(uids)) == 2 * len(FILES)
    assert max(map(len, uids)) <= 40  # Grafana's limit


def test_alerts_are_of_one_gateway_and_its_objective() -> None:
    rendered = prometheus_rule(
        gateway(prometheusRule=True, objective=0.995, runbooks="https://r.example/books/")
    )
    assert rendered is not None
    rules = [rule for group in rendered["spec"]["groups"] for rule in group["rules"]]
    for rule in rules:
        assert 'namespace="ai",gateway="llm"' in rule["expr"]
        link = rule["annotations"]["runbook_url"]
        assert link == f"https://r.example/books/{rule['alert']}.md"
    assert "(1 - 0.995)" in rules[0]["expr"]
