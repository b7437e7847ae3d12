"""Objects of pods that run `page_server.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("page_server.py")
PORT = 8080
MOUNT = "/srv/pages"


def page_map(name: str, **pages: str) -> dict[str, Any]:
    """A ConfigMap of pages; a page's name has `_` for `.`."""
    data = {page.replace("_", "."): text for page, text in pages.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def container(**more: Any) -> dict[str, Any]:
    """A container that serves what is mounted at `MOUNT`; `more` is merged into it."""
    address = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    return {
        "name": "pages",
        "image": "python:3",
        "command": ["python3", str(SERVER), "$(POD_IP)", str(PORT)],
        "args": [MOUNT],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "volumeMounts": [{"name": "pages", "mountPath": MOUNT}],
        **more,
        "env": [address, *more.get("env", [])],
    }


def pod_spec(pages: str = "pages", volume: Any = None, **more: Any) -> dict[str, Any]:
    """The spec of a pod with one such container, which serves a ConfigMap or another volume."""
    return {
        "containers": [container(**more)],
        "volumes": [{"name": "pages", **(volume or {"configMap": {"name": pages}})}],
        "terminationGracePeriodSeconds": 5,
    }


def pod(name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A pod on its own."""
    about = {"name": name, "labels": {"app": name}, **metadata}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}


def deployment(name: str, spec: dict[str, Any], replicas: int = 2) -> dict[str, Any]:
    """A Deployment of such pods."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def service(name: str) -> dict[str, Any]:
    """A Service of such pods, on port 80."""
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }
