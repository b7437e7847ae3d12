"""Every alert has a page that tells what to do, and every page an alert."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from docs.prometheus_rules import plain_rules

from mcp_gateway.telemetry import definitions
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.render.alerts import RUNBOOKS, Scope, gateway_groups

ROOT = Path(__file__).parents[3]
PAGES = {page.stem: page for page in sorted((ROOT / RUNBOOKS).glob("*.md"))}
RULES = [rule for group in yaml.safe_load(plain_rules())["groups"] for rule in group["rules"]]
METRIC = re.compile(r"\bmcp_gateway_\w+")
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]


def known() -> set[str]:
    """Names of all series there are."""
    found = {metric.name for metric in definitions.ALL}
    for family in Metrics().registry.collect():
        found.add(family.name + ("_total" if family.type == "counter" else ""))
    return found


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    assert PAGES.keys() == {rule["alert"] for rule in RULES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_the_link_leads_to_the_page(rule: dict[str, dict[str, str]]) -> None:
    page = ROOT / rule["annotations"]["runbook_url"]
    assert page.read_text(encoding="utf-8").startswith(f"# {rule['alert']}\n\n")
    assert rule["labels"]["severity"] in page.read_text(encoding="utf-8").splitlines()[2]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_a_person_needs(name: str) -> None:
    text = PAGES[name].read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    diagnosis = text.partition("## Diagnosis")[2].partition("## Mitigation")[0]
    assert "```sh" in diagnosis
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (PAGES[name].parent / link).exists(), link


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_metrics_that_there_are(name: str) -> None:
    asked = set(METRIC.findall(PAGES[name].read_text(encoding="utf-8")))
    assert asked <= known()


def test_alerts_ask_for_metrics_and_words_that_there_are() -> None:
    asked = set(METRIC.findall(" ".join(rule["expr"] for rule in RULES)))
    assert asked <= known()
    for status in re.findall(r'status[!=]~"([^"]+)"', plain_rules()):
        assert set(status.split("|")) <= set(definitions.STATUSES)


def test_runbooks_may_be_served_elsewhere() -> None:
    groups = gateway_groups(Scope(runbooks="https://runbooks.example.com"))
    for rule in (rule for group in groups for rule in group["rules"]):
        expected = f"https://runbooks.example.com/{rule['alert']}.md"
        assert rule["annotations"]["runbook_url"] == expected
