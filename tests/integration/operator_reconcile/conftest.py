"""A cluster of these tests' own, with the definition of MCPGateways, and an operator each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.kubernetes import Cluster, running_cluster
from tests.support.operator_process import OperatorProcess, running_operator

from mcp_gateway.api.crd import custom_resource_definition


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """A cluster of two nodes that knows MCPGateways."""
    with running_cluster() as running:
        definition = custom_resource_definition()
        running.apply(definition)
        running.wait("crd", definition["metadata"]["name"], "condition=Established")
        yield running


@pytest.fixture
def operator(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator that leads, of the test's namespace."""
    with running_operator(cluster, namespace, tmp_path) as running:
        yield running
