"""A cluster of these tests' own, with the definition of MCPGateways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.kubernetes import Cluster, running_cluster

from mcp_gateway.api.crd import custom_resource_definition


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """A cluster of two nodes that knows MCPGateways."""
    with running_cluster() as running:
        definition = custom_resource_definition()
        running.apply(definition)
        running.wait("crd", definition["metadata"]["name"], "condition=Established")
        yield running
