"""The pods: one gateway process each, restricted, probed, and ended gently."""

from __future__ import annotations

import math
from typing import Any, Final

from mcp_gateway_operator.render.config_map import FILE
from mcp_gateway_operator.render.config_map import SUFFIX as CONFIG_SUFFIX
from mcp_gateway_operator.render.context import Context
from mcp_gateway_operator.render.gateway import CONTROL_PORT, PEER_PORT, Gateway
from mcp_gateway_operator.render.overlay import overlay
from mcp_gateway_operator.render.secret import (
    CONTROL_SUFFIX,
    SECRETS_SUFFIX,
    data_key,
    references,
)

CONTAINER: Final = "gateway"
CONFIG_DIR: Final = "/etc/mcp-gateway/config"
SECRETS_DIR: Final = "/etc/mcp-gateway/secrets"
CONTROL_DIR: Final = "/etc/mcp-gateway/control"
DATA_DIR: Final = "/var/lib/mcp-gateway"
USER: Final = 65532

ENDPOINTS_GONE: Final = 5
"""Seconds between a pod's end being decided and its SIGTERM: by then no proxy sends to it."""
_MARGIN: Final = 10
_MEBIBYTE: Final = 2**20


def pod_template(gateway: Gateway, context: Context) -> dict[str, Any]:
    """The pods' template, with the person's own `podTemplate` laid over it.

    Nothing in it depends on the document but what cannot change while a process runs: ports and
    which Secrets' keys are mounted. All else reaches pods without a restart.
    """
    rendered = {
        "metadata": {
            "labels": gateway.labels(),
            "annotations": {"kubectl.kubernetes.io/default-container": CONTAINER},
        },
        "spec": _pod(gateway, context),
    }
    merged = overlay(rendered, gateway.spec.pod_template)
    # The labels that the selector and the operator's own watch need are not up for change.
    merged["metadata"]["labels"] = {**merged["metadata"].get("labels", {}), **gateway.labels()}
    return merged


def _pod(gateway: Gateway, context: Context) -> dict[str, Any]:
    grace = math.ceil(gateway.spec.server.shutdown_grace)
    pod = {
        "serviceAccountName": gateway.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": ENDPOINTS_GONE + grace + _MARGIN,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            _spread(gateway, "kubernetes.io/hostname"),
            _spread(gateway, "topology.kubernetes.io/zone"),
        ],
        "containers": [_container(gateway, context)],
        "volumes": _volumes(gateway),
    }
    if gateway.spec.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": ref.name} for ref in gateway.spec.image_pull_secrets]
    return pod


def _spread(gateway: Gateway, topology: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": gateway.selector()},
    }


def _container(gateway: Gateway, context: Context) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": gateway.spec.image or context.image,
        "command": ["mcp-gateway"],
        "args": [
            "run",
            f"{CONFIG_DIR}/{FILE}",
            "--secrets-dir",
            SECRETS_DIR,
            "--data-dir",
            DATA_DIR,
            "--control-dir",
            CONTROL_DIR,
            "--document-from-operator",
        ],
        # The pod says its name when the operator dials: an address may have gone to another pod.
        # By its uid it knows a grant as its own: a volume may have come from a pod of its name.
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        ],
        "ports": [
            {"name": "mcp", "containerPort": gateway.mcp_port, "protocol": "TCP"},
            {"name": "admin", "containerPort": gateway.admin_port, "protocol": "TCP"},
            {"name": "control", "containerPort": CONTROL_PORT, "protocol": "TCP"},
            {"name": "peer", "containerPort": PEER_PORT, "protocol": "TCP"},
        ],
        # Every second while it starts, so that a new pod serves as soon as it can.
        "startupProbe": _probe("/readyz", period=1, failures=120),
        "readinessProbe": _probe("/readyz", period=5, failures=2),
        "livenessProbe": _probe("/livez", period=10, failures=3),
        "lifecycle": {"preStop": {"sleep": {"seconds": ENDPOINTS_GONE}}},
        # No limit of CPU: throttling an event loop adds latency to every request at once.
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG_DIR, "readOnly": True},
            {"name": "secrets", "mountPath": SECRETS_DIR, "readOnly": True},
            {"name": "control", "mountPath": CONTROL_DIR, "readOnly": True},
            {"name": "data", "mountPath": DATA_DIR},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a mount of its own
        ],
    }


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "admin", "scheme": "HTTP"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 2,
    }


def _volumes(gateway: Gateway) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [
        {"name": "config", "configMap": {"name": gateway.name + CONFIG_SUFFIX}},
        {"name": "secrets", "secret": _secrets(gateway)},
        {
            "name": "control",
            "secret": {"secretName": gateway.name + CONTROL_SUFFIX, "defaultMode": 0o440},
        },
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]
    if not gateway.persistent:
        volumes.append({"name": "data", "emptyDir": {"sizeLimit": f"{data_size(gateway)}Mi"}})
    return volumes


def _secrets(gateway: Gateway) -> dict[str, Any]:
    items = [
        {"key": data_key(name, key), "path": f"{name}/{key}"} for name, key in references(gateway)
    ]
    return {
        "secretName": gateway.name + SECRETS_SUFFIX,
        "defaultMode": 0o440,
        # A key that is missing fails what needs it, with its name, and nothing else.
        "optional": True,
        **({"items": items} if items else {}),
    }


def data_size(gateway: Gateway) -> int:
    """Mebibytes for a pod's files: the spool, a quarter more for its log, and a little."""
    recording = gateway.spec.recording
    spool = recording.spool.size if recording.enabled else 0
    return math.ceil(spool * 1.25 / _MEBIBYTE) + 64
