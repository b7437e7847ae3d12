"""Makes files of alerts of their definition in the operator."""

from __future__ import annotations

from typing import Any

import yaml

from mcp_gateway_operator.render.alerts import Scope, gateway_groups, operator_groups

HEAD = """\
# Made from the code by `make generate`.
# The alerts about all gateways and the operator, for a Prometheus without the Prometheus operator:
# name this file in `rule_files`. docs/how-to/monitor.md has the scrape that they need.
"""
CHART_HEAD = """\
# Made from the code by `make generate`. The template prometheus-rules.yaml puts values in the place
# of the words in capitals.
"""
CHART = Scope(objective="OBJECTIVE", runbooks="RUNBOOKS")


def plain_rules() -> str:
    """Write the rules file for a plain Prometheus, and for promtool."""
    everything = Scope()
    return HEAD + _dump([*gateway_groups(everything), *operator_groups(everything)])


def chart_gateway_rules() -> str:
    """Write the groups about gateways, for the chart."""
    return CHART_HEAD + _dump(gateway_groups(CHART))


def chart_operator_rules() -> str:
    """Write the groups about the operator, for the chart."""
    own = Scope('namespace="NAMESPACE"', runbooks="RUNBOOKS")
    return CHART_HEAD + _dump(operator_groups(own))


def _dump(groups: list[dict[str, Any]]) -> str:
    return yaml.safe_dump({"groups": groups}, sort_keys=False, width=100)
