"""A cluster of its own: these tests install and remove what all namespaces share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.kubernetes import Cluster, running_cluster


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """A cluster of two nodes, for the tests of this folder."""
    with running_cluster() as running:
        yield running
