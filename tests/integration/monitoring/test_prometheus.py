"""A real Prometheus looks at a gateway and its operator: panels have data, alerts fire and end."""

from __future__ import annotations

import http.client
import json
import math
import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.monitoring.world import CEILING, QUICK, World, running_world
from tests.support.kubernetes import Cluster, eventually, our_own
from tests.support.postgrest import Fault
from tests.support.process import ROOT
from tests.support.prometheus import promtool

pytestmark = pytest.mark.integration

FIRES_WITHIN = 120.0
LOOKED_FOR = 12.0
"""Seconds of load without a fault: longer than any `for` but the budget's slow one."""
BOARDS = sorted((ROOT / "manifests" / "dashboards").glob("*.json"))
LARGE = 400_000
"""Bytes of an insert that the database's door does not take, once it is told so."""
TOO_LARGE = Fault(413, "too large", larger_than=LARGE)
AWAY = Fault(503, '{"message": "away"}')


@pytest.fixture(scope="module")
def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    our_own(cluster)
    with running_world(cluster, tmp_path_factory.mktemp("monitoring")) as running:
        yield running


def queries(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Title and query of every panel, and of every annotation, as for all gateways."""
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], everything(target["expr"])


def everything(expression: str) -> str:
    for variable in ("namespace", "gateway", "provider"):
        expression = expression.replace(f"${variable}", ".*")
    return expression.replace("$__rate_interval", "10s")


def numbers(world: World, expression: str) -> int:
    """How many numbers an expression gave since the start."""
    found = world.prometheus.over(expression, world.age)
    values = [float(value) for series in found for _, value in series["values"]]
    return sum(not math.isnan(value) for value in values)


def fires(world: World, alert: str) -> None:
    eventually(lambda: alert in world.prometheus.firing(), f"{alert} fires", FIRES_WITHIN)


def nonsense(world: World) -> None:
    """Send a chat that is none, and something that is not HTTP."""
    for body in (b'{"model": 5}', None):
        connection = http.client.HTTPConnection(world.pods[0]["status"]["podIP"], 8079, timeout=30)
        if body is None:
            connection.connect()
            connection.sock.sendall(b"\x00\x01\x02\r\n\r\n")
            connection.sock.recv(1000)
        else:
            headers = {"Authorization": f"Bearer {world.key}", "Content-Type": "application/json"}
            connection.request("POST", "/v1/chat/completions", body, headers)
            assert connection.getresponse().status == 400
        connection.close()


def test_all_is_well_and_no_alert_fires(world: World) -> None:
    eventually(lambda: len(world.prometheus.query("up == 1")) == 4, "three pods and the operator")
    with world.load("kimi", 6) as load:
        since = world.age
        eventually(lambda: world.age > since + LOOKED_FOR, "it was looked at for a while")
        # Its minutes are seconds: a machine that stands still for two has a leaderless operator.
        eventually(lambda: not world.prometheus.firing(), "no alert fires")
    assert load.answered > 0
    assert load.failed == 0


def test_every_alert_fires_under_its_fault(world: World) -> None:
    nonsense(world)
    world.change(retry={"maxRetries": 2})
    world.cluster.kubectl(
        "annotate", "mcpgateway", "llm", "--namespace", world.namespace,
        "gateway.exai.dev/freeze-tuning=true",
    )  # fmt: skip
    with world.load("kimi", 24), world.load("shaky", 4), world.load("revoked", 1):
        fires(world, "MCPGatewayCredentialRefused")
        world.shaky.configure({"latency": QUICK, "failures": [{"kind": "server", "ratio": 1.0}]})
        busy = {"kind": "overload", "ratio": 0.05}
        world.kimi.configure({"concurrency": CEILING, "latency": QUICK, "failures": [busy]})
        for alert in (
            "MCPGatewayBreakerOpen",
            "MCPGatewayErrorBudgetBurnFast",
            "MCPGatewayErrorBudgetBurnSlow",
            "MCPGatewayProviderSaturated",
            "MCPGatewayTuningFrozen",
        ):
            fires(world, alert)
        world.project.proxy.fault = TOO_LARGE
        world.ask("kimi", "x" * (LARGE + 1))
        fires(world, "MCPGatewayRecordingLoss")
        world.project.proxy.fault = AWAY
        fires(world, "MCPGatewayRecordingLag")
        world.project.proxy.fault = None
    eventually(
        lambda: "MCPGatewayOperatorLeaderless" not in world.prometheus.firing(), "somebody leads"
    )


@pytest.mark.parametrize("file", BOARDS, ids=lambda file: str(file.stem))
def test_every_panel_of_every_dashboard_has_data(world: World, file: Path) -> None:
    board = json.loads(file.read_text(encoding="utf-8"))
    asked = list(queries(board))
    assert asked
    empty = [(title, query) for title, query in asked if not numbers(world, query)]
    assert empty == []


def test_annotations_are_queries_that_prometheus_understands(world: World) -> None:
    marks = [
        everything(mark["expr"])
        for file in BOARDS
        for mark in json.loads(file.read_text(encoding="utf-8"))["annotations"].get("list", ())
    ]
    assert marks
    for expression in marks:
        world.prometheus.query(expression)


def test_names_and_kinds_are_as_prometheus_wants_them(world: World) -> None:
    pod = world.pods[0]["status"]["podIP"]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{pod}:9079/metrics", timeout=30.0) as answer:
        of_gateway = answer.read().decode()
    for text in (of_gateway, world.operator.get("/metrics")[1]):
        assert promtool("check", "metrics", text=text) == ""


def test_a_provider_and_a_route_cost_what_is_stated(world: World) -> None:
    ours = '__name__=~"mcp_gateway_.+",job="mcp-gateway"'
    for label, most in (("provider", 40), ("route", 30)):
        found = world.prometheus.query(f'count by (pod, {label}) ({{{ours},{label}!=""}})')
        assert found
        assert max(int(series["value"][1]) for series in found) <= most
    assert world.prometheus.query(f'{{{ours},provider!="",route!=""}}') == []


def test_what_samples_scale_by_is_there(world: World) -> None:
    sample = (ROOT / "manifests" / "samples" / "autoscaling-keda.yaml").read_text("utf-8")
    (trigger,) = yaml.safe_load(sample)["spec"]["autoscaling"]["triggers"]
    query = trigger["metadata"]["query"].replace('"default"', f'"{world.namespace}"')
    assert len(world.prometheus.query(query)) == 1
    adapter = (ROOT / "manifests/samples/prometheus-adapter/values.yaml").read_text("utf-8")
    (rule,) = yaml.safe_load(adapter)["rules"]["custom"]
    pods = {found["metric"]["pod"] for found in world.prometheus.query(rule["seriesQuery"])}
    assert pods >= {pod["metadata"]["name"] for pod in world.pods}
    asked = rule["metricsQuery"].replace("<<.Series>>", "mcp_gateway_requests_in_flight")
    asked = asked.replace("<<.GroupBy>>", "pod")
    asked = asked.replace("<<.LabelMatchers>>", f'namespace="{world.namespace}"')
    assert {found["metric"]["pod"] for found in world.prometheus.query(asked)} == pods


def test_alerts_end_with_their_faults(world: World) -> None:
    world.shaky.configure({"latency": QUICK})
    world.kimi.configure({"concurrency": CEILING, "latency": QUICK})
    world.cluster.kubectl(
        "annotate", "mcpgateway", "llm", "--namespace", world.namespace,
        "gateway.exai.dev/freeze-tuning-",
    )  # fmt: skip
    with world.load("kimi", 2), world.load("shaky", 2):
        for alert in (
            "MCPGatewayBreakerOpen",
            "MCPGatewayCredentialRefused",
            "MCPGatewayProviderSaturated",
            "MCPGatewayRecordingLag",
            "MCPGatewayRecordingLoss",
            "MCPGatewayTuningFrozen",
        ):
            eventually(
                lambda alert=alert: alert not in world.prometheus.firing(),  # type: ignore[misc]
                f"{alert} ends",
                FIRES_WITHIN,
            )


def test_a_pod_that_does_not_take_a_configuration_is_an_alert(world: World) -> None:
    pid = world.cluster.pid(world.namespace, world.pods[0]["metadata"]["name"], "gateway")
    os.kill(pid, signal.SIGSTOP)
    try:
        world.change(retry={"maxRetries": 1})
        fires(world, "MCPGatewayConfigNotApplied")
    finally:
        os.kill(pid, signal.SIGCONT)


def test_nobody_leads_is_an_alert(world: World) -> None:
    world.operator.kill()
    fires(world, "MCPGatewayOperatorLeaderless")
