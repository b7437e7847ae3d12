"""Images as docker archives: a configuration and layers, which any runtime can load."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.build import go_tool
from tests.support.cached_install import cached, install

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
PAUSE_SOURCE = Path(__file__).with_name("pause")


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def layer(tree: Path, file: Path) -> Path:
    """Write a folder's content to `file` as a layer, owned as it is in the folder."""
    command = ["tar", "--create", "--file", str(file), "--numeric-owner", "--sort=name"]
    options = [
        "--mtime=@0",
        "--pax-option=delete=atime,delete=ctime",
        "--directory",
        str(tree),
        ".",
    ]
    subprocess.run([*command, *options], check=True, timeout=300)
    return file


def write(name: str, layers: Sequence[Path], settings: Mapping[str, object], file: Path) -> None:
    """Write a docker archive.

    Args:
        name: of the image, with its tag.
        layers: tar files, the lowest first.
        settings: as the `config` of an image has them: Env, Entrypoint, User and so on.
        file: where to write it.
    """
    digests = [_digest(each) for each in layers]
    configuration = json.dumps(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": dict(settings),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each}" for each in digests]},
        }
    ).encode()
    about = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = [
        {"Config": about, "RepoTags": [name], "Layers": [f"{each}.tar" for each in digests]}
    ]
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(file, "w") as archive:
        for path, content in (
            (about, configuration),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            (Path(scratch) / path).write_bytes(content)
            archive.add(Path(scratch) / path, path)
        for each, digest in zip(layers, digests, strict=True):
            archive.add(each, f"{digest}.tar")


def pause(name: str) -> Path:
    """Return the archive of the image that holds a pod's namespaces: one static program.

    Raises:
        InstallFailed: it cannot be built.
    """

    def build(folder: Path) -> None:
        tree = folder / "tree"
        tree.mkdir()
        command = ["env", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", go_tool(), "build"]
        flags = ["-trimpath", "-ldflags", "-s -w", "-o", str(tree / "pause"), "main.go"]
        install([*command, *flags], folder=PAUSE_SOURCE, what="the pause image")
        only = layer(tree, folder / "layer.tar")
        write(name, [only], {"Entrypoint": ["/pause"]}, folder / "image.tar")
        shutil.rmtree(tree)
        only.unlink()

    return cached("e2e", "pause-1", build) / "image.tar"
