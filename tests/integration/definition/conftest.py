"""A cluster that knows MCPGateways, and no operator: what is judged here is the definition."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.cluster.api import Access
from tests.support.kubernetes import Cluster

from mcp_gateway.api.crd import PLURAL, custom_resource_definition
from mcp_gateway.api.gateway import API_VERSION


class Judge:
    """Asks the API server what it thinks of an MCPGateway."""

    def __init__(self, http: httpx.Client, namespace: str) -> None:
        self._http = http
        self._path = f"/apis/{API_VERSION}/namespaces/{namespace}/{PLURAL}"

    def ask(self, body: object) -> httpx.Response:
        """Send one as if to create it, with unknown fields refused as kubectl asks for it."""
        how = {"dryRun": "All", "fieldValidation": "Strict"}
        return self._http.post(self._path, params=how, json=body)


@pytest.fixture(scope="module")
def defined(cluster: Cluster) -> Cluster:
    """The session's cluster, with the definition."""
    definition = custom_resource_definition()
    cluster.apply(definition)
    cluster.wait("crd", definition["metadata"]["name"], "condition=Established")
    return cluster


@pytest.fixture(scope="module")
def judge(defined: Cluster) -> Iterator[Judge]:
    """The API server's judgement."""
    access = Access.read(defined.kubeconfig)
    headers = {"Authorization": f"Bearer {access.token}"} if access.token else {}
    with (
        defined.namespace() as namespace,
        httpx.Client(
            base_url=access.server,
            verify=access.tls(),
            headers=headers,
            trust_env=False,
            timeout=60.0,
        ) as http,  # fmt: skip
    ):
        yield Judge(http, namespace)
