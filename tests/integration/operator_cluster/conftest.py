"""A cluster of its own: these tests install and remove what all namespaces share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.operator_cluster.installed import remove_operator
from tests.support.kubernetes import Cluster, running_cluster


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """A cluster of two nodes, for the tests of this folder."""
    with running_cluster() as running:
        try:
            yield running
        finally:
            if running.local is None:  # somebody's own is left as it was
                remove_operator(running)
