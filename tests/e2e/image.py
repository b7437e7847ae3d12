"""The project's images, as the end-to-end tests name and build them."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import archive, dockerfile
from tests.e2e.debian import run
from tests.e2e.node import PAUSE, FullNode
from tests.support.cached_install import CACHE, cached
from tests.support.process import ROOT


@dataclass(frozen=True, slots=True)
class Images:
    """Names of the images, for values of a chart and fields of a resource.

    On somebody's own cluster they must be there already; `make kind` loads them.
    """

    gateway: str = "localhost/mcp-gateway:e2e"
    operator: str = "localhost/mcp-gateway-operator:e2e"


IMAGES = Images()


# What the images are made of: a change in any of it makes them anew.
INGREDIENTS = ("gateway", "operator", "pyproject.toml", "constraints.txt", "README.md", "LICENSE")


def _key() -> str:
    listed = run("git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", *INGREDIENTS)
    digest = hashlib.sha256()
    for name in sorted(listed.splitlines()):
        file = ROOT / name
        if file.is_file():
            digest.update(f"{name}\0{file.stat().st_mode}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def _image(folder: str, name: str, key: str) -> Path:
    """Return the archive of an image, built unless the last one is of the same ingredients."""
    kept = f"image-{folder}-{key}"
    for old in (CACHE / "e2e").glob(f"image-{folder}-*"):
        if old.name != kept:
            shutil.rmtree(old, ignore_errors=True)

    def build(place: Path) -> None:
        dockerfile.build(ROOT / folder / "Dockerfile", ROOT, name, place / "image.tar")

    return cached("e2e", kept, build) / "image.tar"


def load_all(node: FullNode) -> None:
    """Build the images by the steps of their Dockerfiles, and give them to a node.

    Raises:
        StepFailed: a step failed.
    """
    node.load(archive.pause(PAUSE))
    key = _key()
    for folder, name in (("gateway", IMAGES.gateway), ("operator", IMAGES.operator)):
        node.load(_image(folder, name, key))
