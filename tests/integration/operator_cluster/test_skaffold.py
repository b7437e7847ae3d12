"""`skaffold.yaml` is valid by skaffold's own schema, and names files and values there are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tests.cluster.build import go_tool
from tests.support.cached_install import InstallFailed, cached
from tests.support.process import ROOT

pytestmark = pytest.mark.integration

MODULE = "github.com/GoogleContainerTools/skaffold/v2@v2.16.1"


def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "skaffold.yaml").read_text(encoding="utf-8"))
    return found


def schema(version: str) -> dict[str, Any]:
    """Return skaffold's schema, out of its Go module."""
    name = version.removeprefix("skaffold/")

    def build(folder: Path) -> None:
        command = [go_tool(), "mod", "download", "-json", MODULE]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=900, check=False,
            env={**os.environ, "GOFLAGS": "-mod=mod"},
        )  # fmt: skip
        if done.returncode:
            raise InstallFailed(f"cannot download {MODULE}: {done.stderr}{done.stdout}")
        place = Path(json.loads(done.stdout)["Dir"], "docs-v2/content/en/schemas", f"{name}.json")
        shutil.copyfile(place, folder / "schema.json")

    place = cached("skaffold", f"{name}-{MODULE.rpartition('@')[2]}", build)
    found: dict[str, Any] = json.loads((place / "schema.json").read_text(encoding="utf-8"))
    return found


def test_it_is_valid() -> None:
    described = schema(document()["apiVersion"])
    jsonschema.Draft7Validator(described).validate(document())


def test_what_it_names_is_there() -> None:
    for artifact in document()["build"]["artifacts"]:
        dockerfile = (ROOT / artifact["docker"]["dockerfile"]).read_text(encoding="utf-8")
        target = artifact["docker"].get("target")
        assert target is None or f" AS {target}\n" in dockerfile
        for rule in artifact.get("sync", {}).get("manual", []):
            assert list(ROOT.glob(rule["src"])), rule
            assert rule["dest"] in dockerfile
    for release in document()["deploy"]["helm"]["releases"]:
        chart = ROOT / release["chartPath"]
        values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8")) or {}
        for name in {**release.get("setValues", {}), **release.get("setValueTemplates", {})}:
            assert name.partition(".")[0] in values, name
