"""The dashboards are Grafana's by its own schema, show every metric there is, and explain it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from docs.dashboards.operators import operators
from docs.dashboards.overview import overview
from docs.dashboards.pools import pools
from docs.dashboards.recordings import recordings
from docs.generate import FILES, ROOT
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from mcp_gateway.telemetry import definitions
from mcp_gateway_operator.metrics import Metrics

BOARDS: dict[str, dict[str, Any]] = {
    made.__name__: json.loads(made()) for made in (overview, pools, operators, recordings)
}
MADE_HERE = ("manifests/dashboards/", "manifests/prometheus-rules", "/monitoring/", "/dashboards/")
METRIC = re.compile(r"\b(?:mcp_gateway|process)_\w+")
HISTOGRAM = re.compile(r"_(bucket|sum|count)$")
every_board = pytest.mark.parametrize("name", BOARDS)


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions(board: dict[str, Any]) -> list[str]:
    marks = [mark["expr"] for mark in board["annotations"].get("list", ())]
    return marks + [target["expr"] for panel in panels(board) for target in panel["targets"]]


def of_operator() -> set[str]:
    return {
        family.name + ("_total" if family.type == "counter" else "")
        for family in Metrics().registry.collect()
    }


@pytest.mark.parametrize("name", [name for name in FILES if any(p in name for p in MADE_HERE)])
def test_the_files_in_the_tree_are_those_of_the_code(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name](), "run `make generate`"


@every_board
def test_grafanas_schema_reads_it_and_writes_the_same(name: str) -> None:
    register_default_plugins()
    board = BOARDS[name]
    read = json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder))
    for mark in board["annotations"].get("list", ()):  # the data source's own fields
        del mark["titleFormat"], mark["step"]
    assert read == board


@every_board
def test_a_panel_explains_itself(name: str) -> None:
    titles = [panel["title"] for panel in panels(BOARDS[name])]
    assert len(titles) == len(set(titles))
    for panel in panels(BOARDS[name]):
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))
        if panel["type"] == "timeseries":
            assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


@every_board
def test_panels_lie_side_by_side(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, panel["title"]
                taken.add((x, y))


@every_board
def test_queries_use_the_variables_there_are_and_metrics_there_are(name: str) -> None:
    board = BOARDS[name]
    variables = {variable["name"] for variable in board["templating"]["list"]}
    known = {metric.name for metric in definitions.ALL} | of_operator()
    known |= {"process_cpu_seconds_total", "process_resident_memory_bytes"}
    for expression in expressions(board):
        used = set(re.findall(r"\$(\w+)", expression)) - {"__rate_interval"}
        assert used <= variables
        for metric in METRIC.findall(expression):
            assert metric in known or HISTOGRAM.sub("", metric) in known, metric


def test_every_metric_is_on_a_dashboard() -> None:
    drawn = {
        found
        for board in BOARDS.values()
        for expression in expressions(board)
        for metric in METRIC.findall(expression)
        for found in (metric, HISTOGRAM.sub("", metric))
    }
    ours = {metric.name for metric in definitions.ALL}
    ours |= {name for name in of_operator() if name.startswith("mcp_gateway_operator_")}
    assert sorted(ours - drawn) == []
