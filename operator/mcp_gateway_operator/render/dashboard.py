"""NAME-dashboards: the Grafana dashboards of one gateway, where they are asked for.

`make generate` writes the dashboards of all gateways beside this module. A gateway's own are the
same, with the two variables that choose a gateway made constants.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any, Final

from mcp_gateway_operator.render.gateway import Gateway

SUFFIX: Final = "-dashboards"
LABEL: Final = "grafana_dashboard"
"""Label by which Grafana's sidecar finds ConfigMaps with dashboards in them."""
FILES: Final = ("overview.json", "pools.json", "recording.json")
"""What is about gateways; the operator's own dashboard comes with its chart."""


def dashboard(gateway: Gateway) -> dict[str, Any] | None:
    """The ConfigMap, or None."""
    if not gateway.spec.monitoring.dashboard:
        return None
    metadata = gateway.metadata(SUFFIX)
    metadata["labels"] = {**metadata["labels"], LABEL: "1"}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {name: _of_gateway(name, gateway) for name in FILES},
    }


def _of_gateway(name: str, gateway: Gateway) -> str:
    key = f"{gateway.key.namespace}/{gateway.name}"
    values = {
        "@digest@": hashlib.sha256(key.encode()).hexdigest()[:16],
        "@namespace@": gateway.key.namespace,
        "@gateway@": gateway.name,
    }
    text = _template(name)
    for word, value in values.items():
        text = text.replace(word, value)  # names of objects need no escape in JSON
    return text


@cache
def _template(name: str) -> str:
    """A dashboard with words in the place of what differs between gateways.

    It is read once: a thousand gateways are rendered at a resync.
    """
    folder = resources.files("mcp_gateway_operator.render") / "dashboards"
    board: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    # Grafana takes 40 characters, and two dashboards with one uid replace each other.
    board["uid"] = f"{board['uid'][:23]}-@digest@"
    board["title"] = f"{board['title']} of @namespace@/@gateway@"
    board["templating"]["list"] = [
        _constant(each) if each["name"] in {"namespace", "gateway"} else each
        for each in board["templating"]["list"]
    ]
    return json.dumps(board, separators=(",", ":"))


def _constant(variable: dict[str, Any]) -> dict[str, Any]:
    value = f"@{variable['name']}@"
    return {
        "type": "constant",
        "name": variable["name"],
        "label": variable["label"],
        "query": value,
        "current": {"text": value, "value": value},
        "hide": 2,
    }
