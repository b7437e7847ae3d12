"""NAME: what runs the pods, a Deployment, or a StatefulSet where each pod keeps a volume."""

from __future__ import annotations

from typing import Any, Final

from mcp_gateway_operator.render.context import Context
from mcp_gateway_operator.render.document import digest
from mcp_gateway_operator.render.gateway import ASKED, IMAGE, Gateway
from mcp_gateway_operator.render.pod_template import data_size, pod_template
from mcp_gateway_operator.render.secret import references
from mcp_gateway_operator.render.service import HEADLESS_SUFFIX

PROGRESS_DEADLINE: Final = 600
"""Seconds without progress after which a rollout counts as stuck."""


def workload(gateway: Gateway, context: Context) -> dict[str, Any]:
    """The one of the two that the gateway's storage asks for."""
    return stateful_set(gateway, context) if gateway.persistent else deployment(gateway, context)


def notes(gateway: Gateway, context: Context) -> dict[str, str]:
    """The annotations that tell a person's change of a workload from one of the operator's own.

    One says all in a spec that a workload depends on, and nothing of how it is rendered; the
    other is the image of the operator's version, where the spec names none.
    """
    parts = ("replicas", "image", "imagePullSecrets", "podTemplate")
    wish = {part: gateway.body.get(part) for part in parts}
    wish["server"] = [
        gateway.mcp_port, gateway.admin_port, gateway.spec.server.shutdown_grace,
    ]  # fmt: skip
    wish["secrets"] = references(gateway)
    wish["data"] = [
        gateway.persistent, data_size(gateway), gateway.spec.recording.spool.storage_class_name,
    ]  # fmt: skip
    default = {} if gateway.spec.image else {IMAGE: context.image}
    return {ASKED: digest(wish), **default}


def deployment(gateway: Gateway, context: Context) -> dict[str, Any]:
    """The Deployment. A new pod serves before an old one is told to go."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": gateway.metadata(annotations=notes(gateway, context)),
        "spec": {
            "replicas": gateway.spec.replicas,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": PROGRESS_DEADLINE,
            "selector": {"matchLabels": gateway.selector()},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            },
            "template": pod_template(gateway, context),
        },
    }


def stateful_set(gateway: Gateway, context: Context) -> dict[str, Any]:
    """The StatefulSet. Volumes are kept when it scales down: records in them wait."""
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{data_size(gateway)}Mi"}},
    }
    if gateway.spec.recording.spool.storage_class_name:
        claim["storageClassName"] = gateway.spec.recording.spool.storage_class_name
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": gateway.metadata(annotations=notes(gateway, context)),
        "spec": {
            "replicas": gateway.spec.replicas,
            "revisionHistoryLimit": 3,
            "serviceName": gateway.name + HEADLESS_SUFFIX,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": gateway.selector()},
            "updateStrategy": {"type": "RollingUpdate"},
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Delete",
                "whenScaled": "Retain",
            },
            "template": pod_template(gateway, context),
            "volumeClaimTemplates": [
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": {"name": "data"},
                    "spec": claim,
                }
            ],
        },
    }
