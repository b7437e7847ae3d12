"""A cluster of these tests' own, with the definition of MCPGateways and an operator that tunes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.operator_closed_loop.fleet import TICK
from tests.support.gateway_process import SimulatorProcess, simulator
from tests.support.kubernetes import Cluster, running_cluster
from tests.support.operator_process import OperatorProcess, running_operator

from mcp_gateway.api.crd import custom_resource_definition


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """A cluster of one node that knows MCPGateways."""
    with running_cluster(nodes=1) as running:
        definition = custom_resource_definition()
        running.apply(definition)
        running.wait("crd", definition["metadata"]["name"], "condition=Established")
        yield running


@pytest.fixture
def operator(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator that leads, of the test's namespace."""
    with running_operator(cluster, namespace, tmp_path, TICK) as running:
        yield running


@pytest.fixture
def provider() -> Iterator[SimulatorProcess]:
    """A provider that refuses nothing, so that what it sees is what the fleet does by itself."""
    with simulator() as running:
        yield running
