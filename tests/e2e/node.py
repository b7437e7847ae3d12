"""A full node on this machine: containerd, kubelet, kube-proxy and DNS. It needs root.

Everything is in a folder of its own: containerd's sockets and images, the kubelet's volumes, the
network's leases. What is outside of it, an address on `lo`, a bridge and iptables rules, is
removed when the node ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster import build
from tests.cluster.control_plane import ControlPlane
from tests.cluster.program import Program
from tests.e2e import firewall
from tests.e2e.debian import NotPossible, require_packages, run
from tests.support.cached_install import progress

# Pods must be able to reach it, and the API takes no loopback address: one for documentation
# (RFC 5737) that no machine has.
ADDRESS = "192.0.2.129"
POD_RANGE = "10.244.0.0/24"
BRIDGE = "mgw-e2e"
NAME = "full-node"
PAUSE = "localhost/pause:1"
NETWORKS = Path("/run/netns")
READY_TIMEOUT = 60.0
LOCK = Path("/run/mcp-gateway-e2e.lock")
LOCK_TIMEOUT = 1800.0

CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Without CAP_SYS_RESOURCE runc dies of a score it may not lower.
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{folder}/cni"
"""

DNS = """\
.:53 {{
  bind {address}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {kubeconfig}
    pods insecure
    ttl 1
  }}
  forward . /etc/resolv.conf
}}
"""


@contextlib.contextmanager
def _only_node_of_the_machine() -> Iterator[None]:
    """Wait until no other test run has a full node: address, bridge and ports are shared.

    Raises:
        NotPossible: another one had it for half an hour.
    """
    deadline = time.monotonic() + LOCK_TIMEOUT
    with LOCK.open("w") as file:
        waiting = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise NotPossible(f"another full node holds {LOCK}") from None
            if not waiting:
                progress("waiting for the full node of another test run to end")
            waiting = True
            time.sleep(0.5)
        yield


class FullNode:
    """A control plane with one node that runs images. A context manager: leaving it ends all."""

    def __init__(self, folder: Path) -> None:
        """Prepare one in an empty `folder`.

        Raises:
            NotPossible: this machine cannot run it.
            InstallFailed: its programs cannot be built.
        """
        require_packages()
        self.folder = folder
        self.control_plane = ControlPlane(folder, build.control_plane(), address=ADDRESS)
        self._socket = folder / "containerd.sock"
        self._others: set[str] = set()
        self._end = contextlib.ExitStack()
        binaries = build.node()
        kubeconfig = f"--kubeconfig={self.kubeconfig}"
        self._containerd = Program(
            "containerd",
            ["/usr/bin/containerd", "--config", str(folder / "containerd.toml")],
            folder,
        )
        self._kubelet = Program(
            "kubelet",
            [
                str(binaries / "kubelet"), kubeconfig, f"--config={folder / 'kubelet.json'}",
                f"--root-dir={folder / 'kubelet'}", f"--hostname-override={NAME}",
                f"--node-ip={ADDRESS}",
            ],
            folder,
        )  # fmt: skip
        self._proxy = Program(
            "kube-proxy",
            [
                str(binaries / "kube-proxy"), kubeconfig, "--cluster-cidr=10.244.0.0/16",
                "--proxy-mode=iptables", "--conntrack-max-per-core=0",
                f"--hostname-override={NAME}", f"--healthz-bind-address={ADDRESS}:10256",
                f"--metrics-bind-address={ADDRESS}:10249",
            ],
            folder,
        )  # fmt: skip
        self._dns = Program("coredns", [str(binaries / "coredns"), "-conf", "Corefile"], folder)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.control_plane.kubeconfig

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_only_node_of_the_machine())
            self._others = self._networks()
            stack.callback(self.stop)
            self._start()
            self._end = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.close()

    def load(self, archive: Path) -> None:
        """Give the node the images of a docker archive."""
        self._ctr("images", "import", str(archive))

    def images(self) -> list[str]:
        """Return the names of the images it has."""
        return self._ctr("images", "list", "-q").split()

    def _start(self) -> None:
        self._write_configuration()
        run("ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo")
        self._containerd.start()
        self._wait(self._containerd, self._containerd_answers)
        self.control_plane.start()
        self._kubelet.start()
        self._proxy.start()
        self._dns.start()
        self._wait(self._kubelet, self._ready)
        self._wait(self._proxy, lambda: "KUBE-SERVICES" in run("iptables-save", "-t", "nat"))
        self._dns.check()

    def stop(self) -> None:
        """End it, in the order that lets each part clean up with those it needs. Idempotent."""
        plane = self.control_plane
        for program in (
            self._dns, self._proxy, plane.scheduler, self._kubelet, plane.controller_manager,
            plane.api_server, plane.etcd,
        ):  # fmt: skip
            program.stop()
        if self._containerd.running:
            self._remove_containers()
        self._containerd.stop()
        self._unmount()
        for name in self._networks() - self._others:
            run("ip", "netns", "delete", name, check=False)
        firewall.remove(BRIDGE)
        run("ip", "address", "delete", f"{ADDRESS}/32", "dev", "lo", check=False)
        run("ip", "link", "delete", BRIDGE, check=False)

    def _remove_containers(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            for task in self._ctr("tasks", "list", "-q").split():
                self._ctr("tasks", "delete", "--force", task, check=False)
            for container in self._ctr("containers", "list", "-q").split():
                self._ctr("containers", "delete", container, check=False)

    def _networks(self) -> set[str]:
        """Return the network namespaces that containerd made on this machine."""
        return {path.name for path in NETWORKS.glob("cni-*")}

    def _unmount(self) -> None:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        ours = [line.split()[1] for line in mounts if line.split()[1].startswith(str(self.folder))]
        for place in reversed(ours):
            run("umount", "--lazy", place, check=False)

    def _write_configuration(self) -> None:
        values = {"folder": self.folder, "socket": self._socket, "pause": PAUSE}
        (self.folder / "containerd.toml").write_text(CONTAINERD.format(**values), encoding="utf-8")
        corefile = DNS.format(address=ADDRESS, kubeconfig=self.kubeconfig)
        (self.folder / "Corefile").write_text(corefile, encoding="utf-8")
        (self.folder / "kubelet.json").write_text(json.dumps(self._kubelet_configuration()))
        (self.folder / "cni").mkdir()
        (self.folder / "cni" / "bridge.conflist").write_text(json.dumps(self._network()))

    def _kubelet_configuration(self) -> dict[str, object]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            "clusterDNS": [ADDRESS],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%"},
            "failSwapOn": False,
            "syncFrequency": "5s",
        }

    def _network(self) -> dict[str, object]:
        addresses = {
            "type": "host-local",
            "ranges": [[{"subnet": POD_RANGE}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(self.folder / "leases"),
        }
        bridge = {
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": addresses,
        }
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        return {"cniVersion": "0.4.0", "name": BRIDGE, "plugins": [bridge, ports]}

    def _containerd_answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self._socket))
            return True
        return False

    def _ready(self) -> bool:
        kubectl = build.control_plane() / "kubectl"
        template = "{.status.conditions[?(@.type=='Ready')].status}{.spec.taints}"
        where = [str(kubectl), f"--kubeconfig={self.kubeconfig}", "get", "node", NAME]
        return run(*where, "-o", f"jsonpath={template}", check=False) == "True"

    def _wait(self, program: Program, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        while not done():
            program.check()
            if time.monotonic() > deadline:
                raise program.failure(f"was not ready within {READY_TIMEOUT:.0f} s")
            time.sleep(0.1)

    def _ctr(self, *arguments: str, check: bool = True) -> str:
        command = ["ctr", "--address", str(self._socket), "--namespace", "k8s.io", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=dict(os.environ)
        )
        if check and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        return done.stdout
