"""The official JavaScript programs that tests run against the gateway, and a Node to run them.

Versions are pinned here and nowhere else. Nothing is installed outside the cache folder, and no
package's install script is run.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
from pathlib import Path

from tests.support.cached_install import InstallFailed, cached, install

CLIENTS = {"@modelcontextprotocol/client": "2.4.0", "@modelcontextprotocol/sdk": "1.32.2"}
INSPECTOR = {"@modelcontextprotocol/inspector": "2.12.0"}
CONFORMANCE = {"@modelcontextprotocol/conformance": "0.2.0-alpha.12"}

# The Inspector's own demand; the v1 WebSocket client needs the global WebSocket of Node 22.
OLDEST_NODE = (22, 19)
NODE = "24.21.0"
ARCHITECTURES = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def _slug(packages: dict[str, str]) -> str:
    return "+".join(
        f"{package.rpartition('/')[2]}-{version}" for package, version in sorted(packages.items())
    )


def packages(wanted: dict[str, str]) -> Path:
    """Return the folder whose `node_modules` holds exactly these packages and their needs.

    Raises:
        InstallFailed: npm is missing or could not install them.
    """

    def build(folder: Path) -> None:
        npm = shutil.which("npm")
        if npm is None:
            raise InstallFailed("npm is not installed (Debian: apt-get install npm)")
        manifest = {"private": True, "type": "module", "dependencies": wanted}
        (folder / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
        flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        install([npm, "install", *flags], folder=folder, what=" ".join(wanted))

    return cached("node", _slug(wanted), build)


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=False, timeout=60
    ).stdout
    return tuple(int(number) for number in re.findall(r"\d+", said)[:2])


def node() -> str:
    """Return a Node that is new enough: the machine's own, else one from npm.

    Raises:
        InstallFailed: neither can be had here.
    """
    installed = shutil.which("node")
    if installed is not None and _version(installed) >= OLDEST_NODE:
        return installed
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise InstallFailed(f"no Node {NODE} for {platform.machine()}: install Node >= 22.19")
    package = f"node-{platform.system().lower()}-{architecture}"
    return str(packages({package: NODE}) / "node_modules" / package / "bin" / "node")


def program(wanted: dict[str, str], package: str) -> Path:
    """Return the script behind the first command that `package` installs."""
    folder = packages(wanted) / "node_modules" / package
    commands: dict[str, str] = json.loads((folder / "package.json").read_bytes())["bin"]
    return folder / next(iter(commands.values()))
