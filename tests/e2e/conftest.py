"""The cluster of these tests has a full node and the project's images."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.debian import NotPossible
from tests.e2e.image import IMAGES, Images, load_all
from tests.e2e.node import FullNode
from tests.support.kubernetes import KUBECONFIG_VARIABLE, Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The session's cluster: the one that `TEST_KUBECONFIG` names, or a full node of our own."""
    scratch = Path(tempfile.mkdtemp(prefix="mcp-gateway-e2e-"))
    try:
        named = os.environ.get(KUBECONFIG_VARIABLE)
        if named:
            yield Cluster(Path(named), scratch)
            return
        folder = scratch / "node"
        folder.mkdir()
        with FullNode(folder) as node:
            load_all(node)
            yield Cluster(node.kubeconfig, scratch)
    except NotPossible as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture(scope="session")
def images() -> Images:
    """Names of the project's images."""
    return IMAGES
