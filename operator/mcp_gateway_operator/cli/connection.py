"""The cluster that a person's command talks to: the one their kubectl would."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mcp_gateway_operator.cli.terminal import Complaint
from mcp_gateway_operator.cluster import (
    Access,
    Cluster,
    ClusterError,
    Forbidden,
    NoAccess,
    NotFound,
)
from mcp_gateway_operator.cluster import find_access as _find_access
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.render.kind import Kind

T = TypeVar("T")
Object = dict[str, Any]

IN_A_POD = "KUBERNETES_SERVICE_HOST"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a cluster and a namespace."""
    parser.add_argument("--kubeconfig", metavar="FILE", help="default: KUBECONFIG, ~/.kube/config")
    parser.add_argument("--context", default="", metavar="NAME", help="of the kubeconfig")


def talk(
    args: argparse.Namespace, work: Callable[[Cluster], Awaitable[T]], *, failed: int = 1
) -> T:
    """Run `work` with the cluster that `args` and the environment name.

    Args:
        args: with the options of `register`.
        work: what to do.
        failed: exit status of what goes wrong here.

    Raises:
        Complaint: there is no cluster, or it refused.
    """
    access = find_access(args, failed=failed)

    async def run() -> T:
        async with Cluster(access, Metrics()) as cluster:
            return await work(cluster)

    try:
        return asyncio.run(run())
    except Forbidden as exc:
        hint = "kubectl auth can-i --list shows what you may do"
        raise Complaint(str(exc), hint, status=failed) from exc
    except NotFound as exc:
        unknown = "could not find the requested resource" in str(exc)
        hint = "install the chart mcp-gateway-crds: MCPGateway is not known here" if unknown else ""
        raise Complaint(str(exc), hint, status=failed) from exc
    except ClusterError as exc:
        raise Complaint(str(exc), status=failed) from exc


async def every(cluster: Cluster, kind: Kind, namespace: str | None, **query: str) -> list[Object]:
    """Return all objects of a kind, whole."""
    found: list[Object] = []
    params = {"limit": "250", **query}
    while True:
        answer = await cluster.request("list", "GET", kind.path(namespace), params=params)
        page = msgspec.json.decode(answer, type=dict[str, Any])
        found += page["items"] or []
        token = page["metadata"].get("continue", "")
        if not token:
            return found
        params["continue"] = token


async def one(cluster: Cluster, kind: Kind, namespace: str | None, name: str) -> Object | None:
    """Return one object whole, or None."""
    try:
        answer = await cluster.request("get", "GET", kind.path(namespace, name))
    except NotFound:
        return None
    found: Object = msgspec.json.decode(answer)
    return found


def find_access(args: argparse.Namespace, *, failed: int = 1) -> Access:
    """Find the way to the cluster as kubectl does: option, KUBECONFIG, home, this pod's account.

    Of several files in KUBECONFIG the first that exists is read.

    Raises:
        Complaint: there is none.
    """
    named: str = args.kubeconfig or ""
    if not named:
        paths = os.environ.get("KUBECONFIG", "").split(os.pathsep)
        named = next((path for path in paths if path and Path(path).exists()), "")
    home = Path.home() / ".kube" / "config"
    if not named and IN_A_POD not in os.environ and home.exists():
        named = str(home)
    try:
        return _find_access(named, os.environ, args.context)
    except NoAccess as exc:
        raise Complaint(str(exc), "name a cluster with --kubeconfig FILE", status=failed) from exc
