"""The project's images, as the end-to-end tests name and build them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.e2e import archive, dockerfile
from tests.e2e.node import PAUSE, FullNode
from tests.support.process import ROOT


@dataclass(frozen=True, slots=True)
class Images:
    """Names of the images, for values of a chart and fields of a resource.

    On somebody's own cluster they must be there already; `make kind` loads them.
    """

    gateway: str = "localhost/mcp-gateway:e2e"
    operator: str = "localhost/mcp-gateway-operator:e2e"


IMAGES = Images()


def load_all(node: FullNode, scratch: Path) -> None:
    """Build the images by the steps of their Dockerfiles, and give them to a node.

    Raises:
        StepFailed: a step failed.
    """
    node.load(archive.pause(PAUSE))
    for name, folder in ((IMAGES.gateway, "gateway"), (IMAGES.operator, "operator")):
        file = scratch / f"{folder}.tar"
        dockerfile.build(ROOT / folder / "Dockerfile", ROOT, name, file)
        node.load(file)
        file.unlink()
