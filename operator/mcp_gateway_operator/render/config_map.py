"""NAME-config: the document that a pod reads at its start."""

from __future__ import annotations

from typing import Any, Final

import yaml

try:  # libyaml's, ten times as fast; a wheel of PyYAML has it, a build without libyaml has not
    from yaml import CSafeDumper as Dumper
except ImportError:
    from yaml import SafeDumper as Dumper  # type: ignore[assignment]

from mcp_gateway_operator.render.document import digest, document
from mcp_gateway_operator.render.gateway import CONFIG_DIGEST, CONFIG_GENERATION, Gateway

SUFFIX: Final = "-config"
FILE: Final = "gateway.yaml"


def config_map(gateway: Gateway, generation: int) -> dict[str, Any]:
    """Write the ConfigMap with one generation of the document."""
    body = document(gateway)
    annotations = {CONFIG_GENERATION: str(generation), CONFIG_DIGEST: digest(body)}
    body["metadata"]["annotations"] = {CONFIG_GENERATION: str(generation)}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": gateway.metadata(SUFFIX, annotations),
        "data": {FILE: text(body)},
    }


def text(body: dict[str, Any]) -> str:
    """Write a document as people read it."""
    written: str = yaml.dump(body, Dumper=Dumper, sort_keys=False, width=100, allow_unicode=True)
    return written
