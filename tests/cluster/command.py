"""What a container's command, paths and environment become for a process without a container."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.api import Object
from tests.support.process import ROOT

# The programs of our images, run from the source tree by this very interpreter.
MODULES = {"mcp-gateway": "mcp_gateway", "mcp-gateway-operator": "mcp_gateway_operator"}
# What the images do when a pod says nothing.
DEFAULTS = {"mcp-gateway-operator": ["run"]}
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MISSING_TAG = ":missing"
REFERENCE = re.compile(r"\$(\$|\((?P<name>[A-Za-z_][\w.-]*)\))")


class Paths:
    """Where the absolute paths of a container are on this machine."""

    def __init__(self, mounts: Mapping[str, Path]) -> None:
        """Map each mount path of the container to a folder or file."""
        self._places = {path.rstrip("/"): str(place) for path, place in mounts.items()}
        longest_first = sorted(self._places, key=len, reverse=True)
        # Whole path components only: /etc/app is neither in /etc/apple nor in http://host/etc/app.
        self._pattern = (
            re.compile(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w.-])")
            if longest_first
            else None
        )

    def translate(self, text: str) -> str:
        """Replace the mount paths in an argument or a variable's value."""
        if self._pattern is None:
            return text
        return self._pattern.sub(lambda found: self._places[found.group()], text)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` as the kubelet does: an unknown name stays, `$$` is a dollar sign."""

    def value(found: re.Match[str]) -> str:
        name = found.group("name")
        return "$" if name is None else variables.get(name, found.group())

    return REFERENCE.sub(value, text)


def image_name(image: str) -> str:
    """Return an image's last path component without tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def pullable(image: str) -> bool:
    """Tell whether there is such an image. None has the tag `missing`, so that tests can fail."""
    return not image.partition("@")[0].endswith(MISSING_TAG)


def command_line(container: Object, variables: Mapping[str, str], paths: Paths) -> list[str]:
    """Return the argument list of a container's process.

    Where it names no command, the entry point of our images is their own name.
    """
    words: Sequence[str] = [*(container.get("command") or []), *(container.get("args") or [])]
    if not container.get("command"):
        name = image_name(container["image"])
        words = [name, *(words or DEFAULTS.get(name, []))]
    return translated([expand(word, variables) for word in words], paths)


def translated(words: Sequence[str], paths: Paths) -> list[str]:
    """Return an argument list with its paths, and the programs of our images, on this machine."""
    program, *arguments = (paths.translate(word) for word in words)
    name = Path(program).name
    if name in MODULES:
        return [sys.executable, "-m", MODULES[name], *arguments]
    if name in {"python", "python3"}:
        return [sys.executable, *arguments]
    return [program, *arguments]


def base_environment(pod_ip: str, hostname: str, home: Path) -> dict[str, str]:
    """Return what every process of a pod has in its environment: nothing of this process's own."""
    # The tests' own programs can be a container's too.
    tree = ":".join(str(ROOT / part) for part in ("gateway", "operator", ""))
    return {
        "PATH": f"{Path(sys.executable).parent}:{SEARCH_PATH}",
        "HOME": str(home),
        "TMPDIR": str(home),
        "HOSTNAME": hostname,
        "LANG": "C.UTF-8",
        "PYTHONPATH": tree,
        "PYTHONUNBUFFERED": "1",
        # All pods share the machine's network: a wildcard address would take every pod's port.
        "MCP_GATEWAY_BIND": pod_ip,
    }
