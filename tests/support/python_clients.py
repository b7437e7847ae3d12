"""Python programs that cannot live in the project's own environment, each in one of its own.

`mcp` 1.x is the last release with a WebSocket transport; the project's tests use 2.x.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.cached_install import cached, install

MCP_WITH_WEBSOCKET = "mcp[ws]==1.30.0"


def interpreter(requirement: str) -> Path:
    """Return the Python of a virtual environment that holds `requirement`.

    Raises:
        InstallFailed: pip could not install it.
    """
    version = f"py{sys.version_info.major}.{sys.version_info.minor}"
    name = requirement.replace("==", "-").replace("[", "-").replace("]", "")

    def build(folder: Path) -> None:
        install([sys.executable, "-m", "venv", str(folder)], folder=folder, what="a virtualenv")
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        install([*pip, "install", "--quiet", requirement], folder=folder, what=requirement)

    return cached("python", f"{name}-{version}", build, movable=False) / "bin" / "python"
