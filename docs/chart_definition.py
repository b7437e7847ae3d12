"""Writes the chart's copy of the CRD: the same definition, kept when the chart is uninstalled."""

from __future__ import annotations

import yaml

from mcp_gateway.api import crd

KEEP = {"helm.sh/resource-policy": "keep"}
"""Uninstalling the chart leaves the definition: deleting it would delete every MCPGateway."""


def chart_definition() -> str:
    """Return the template of the chart mcp-gateway-crds.

    Raises:
        ValueError: a description would be taken for an action of a template.
    """
    definition = crd.custom_resource_definition()
    definition["metadata"] = {**definition["metadata"], "annotations": KEEP}
    text = yaml.safe_dump(definition, sort_keys=False, width=100)
    if "{{" in text:
        raise ValueError("a description has '{{' in it, which a chart's template cannot")
    return text
