"""The one file for `kubectl apply -f`: rendered from the charts by helm, for people without it.

`make manifests` runs this. helm is the one that the tests' cluster builds, so `make generate`,
which anybody runs, does without it; a test tells when the file was left behind.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml
from tests.cluster import build
from tests.support.process import ROOT

FILE = ROOT / "manifests" / "install.yaml"
NAMESPACE = "mcp-gateway-system"
KUBERNETES = "v1.34.0"
RELEASE = "mcp-gateway"

HEADER = """\
# MCPGateway: the definition of the resource, and its operator for all namespaces.
# Made from charts/ by `make manifests`.
#
#   kubectl apply --server-side -f manifests/install.yaml
"""

_OF_HELM = re.compile(
    r"^ +(helm\.sh/(chart|resource-policy): .*|app\.kubernetes\.io/managed-by: Helm)\n",
    re.MULTILINE,
)
_SOURCE = re.compile(r"^# Source: .*\n", re.MULTILINE)


def template(chart: str, *arguments: str, namespace: str = NAMESPACE) -> str:
    """Render a chart by helm.

    Raises:
        subprocess.CalledProcessError: helm refused; `stderr` has its words.
    """
    command = [
        str(build.control_plane() / "helm"), "template", RELEASE, str(ROOT / "charts" / chart),
        "--namespace", namespace, "--kube-version", KUBERNETES, *arguments,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def text() -> str:
    """Return the whole file."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    }
    charts = template("mcp-gateway-crds") + template("mcp-gateway", "--skip-tests")
    plain = _SOURCE.sub("", _OF_HELM.sub("", charts)).replace("  annotations:\nspec:", "spec:")
    return f"{HEADER}---\n{yaml.safe_dump(namespace, sort_keys=False)}{plain}"


def main() -> None:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")
    print(Path(FILE).relative_to(ROOT))


if __name__ == "__main__":
    main()
