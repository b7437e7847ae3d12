"""Every alert fires under its fault and is silent without it, as promtool evaluates them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.monitoring.faults import FAULTS, HARMLESS, HEALTHY, Fault
from tests.support.process import ROOT
from tests.support.prometheus import promtool

from mcp_gateway_operator.render.alerts import Scope, gateway_groups, operator_groups

pytestmark = pytest.mark.integration

RULES = ROOT / "manifests" / "prometheus-rules.yaml"
GROUPS = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"]
}


def case(name: str, changed: Mapping[str, str], tests: list[dict[str, Any]]) -> dict[str, Any]:
    """One test of promtool's, of series that are well but for some."""
    series = {**HEALTHY, **changed}
    return {
        "name": name,
        "interval": "1m",
        "input_series": [
            {"series": each, "values": values} for each, values in series.items() if values
        ],
        "alert_rule_test": tests,
    }


def expected(alert: str, minutes: int, *fired: dict[str, Any]) -> dict[str, Any]:
    return {"eval_time": f"{minutes}m", "alertname": alert, "exp_alerts": list(fired)}


def evaluate(folder: Path, rules: Path, *cases: dict[str, Any]) -> None:
    """Let promtool evaluate rules on made up series."""
    file = folder / "test.yaml"
    whole = {"rule_files": [str(rules)], "evaluation_interval": "1m", "tests": list(cases)}
    file.write_text(yaml.safe_dump(whole), encoding="utf-8")
    assert "SUCCESS" in promtool("test", "rules", str(file))


def fires(fault: Fault) -> dict[str, Any]:
    """The case of a fault: silent at first, then with this text."""
    rule = ALERTS[fault.alert]
    alert = {
        "exp_labels": {**fault.labels, **rule["labels"]},
        "exp_annotations": {**rule["annotations"], "summary": fault.summary},
    }
    tests = [
        expected(fault.alert, fault.before),
        expected(fault.alert, fault.by, alert),
        *(expected(other, fault.by) for other in ALERTS if other != fault.alert),
    ]
    return case(fault.alert, fault.series, tests)


def test_the_rules_are_valid() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", "--lint-fatal", str(RULES))


def test_every_alert_fires_under_its_fault_alone_and_not_at_once(tmp_path: Path) -> None:
    assert {fault.alert for fault in FAULTS} == ALERTS.keys()
    evaluate(tmp_path, RULES, *map(fires, FAULTS))


@pytest.mark.parametrize("what", HARMLESS)
def test_every_alert_is_silent_without_its_fault(tmp_path: Path, what: str) -> None:
    times = (1, 5, 21, 24, 60, 300)
    tests = [expected(alert, minutes) for alert in ALERTS for minutes in times]
    evaluate(tmp_path, RULES, case(what, HARMLESS[what], tests))


def test_one_gateways_rules_are_about_it_alone_and_by_its_objective(tmp_path: Path) -> None:
    own = Scope('namespace="ai",gateway="llm"', objective="0.999")
    other = Scope('namespace="ai",gateway="other"', objective="0.999")
    budget = "MCPGatewayErrorBudgetBurnSlow"
    few = next(changed for what, changed in HARMLESS.items() if what == "a few failures")
    for scope, count in ((own, 1), (other, 0)):
        file = tmp_path / f"rules-{count}.yaml"
        file.write_text(yaml.safe_dump({"groups": gateway_groups(scope)}), encoding="utf-8")
        fired = {
            "exp_labels": {"namespace": "ai", "gateway": "llm", "severity": "warning"},
            "exp_annotations": {
                **ALERTS[budget]["annotations"],
                "summary": "ai/llm fails 0.8264% of its chats",
            },
        }
        evaluate(tmp_path, file, case("few", few, [expected(budget, 60, *([fired] * count))]))


def test_a_faster_pace_keeps_the_alerts(tmp_path: Path) -> None:
    fast = Scope(pace=1 / 60)
    file = tmp_path / "fast.yaml"
    groups = [*gateway_groups(fast), *operator_groups(fast)]
    file.write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", str(file))
    spans = {rule["for"] for group in groups for rule in group["rules"]}
    assert spans == {"0s", "2s", "5s", "10s", "15s"}
