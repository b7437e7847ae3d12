"""A node whose containers are processes of this machine: no root, no images, pods in a second.

    python -m tests.cluster.process_node --kubeconfig FILE --folder DIR --name NAME

It registers a Node, takes the pods that the scheduler binds to it, and treats them as a kubelet
would. What it does not do: isolate, limit resources, route Service addresses, exec or attach.
Each pod has an address of its own in 127.1.0.0/16, so every pod can use the same ports.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
from pathlib import Path

import httpx
from tests.cluster.api import API, MERGE, Access, Key, Mirror, Object, Refused, report_failure
from tests.cluster.container import now
from tests.cluster.log_server import LogServer
from tests.cluster.pod import Pod, Surroundings

CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "250", "ephemeral-storage": "1Ti"}
LEASE_SECONDS = 40
HEARTBEAT = 10.0
CLAIM_PORT = 47001


class Addresses:
    """The addresses of a node's pods: 127.1.X.1 to 127.1.X.250.

    X is this node's while it holds a socket on 127.1.X.254: several clusters run at a time on
    a machine, and the kernel frees what a killed one had.
    """

    def __init__(self) -> None:
        self._claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.node = self._claim_network()
        self._free = [f"{self.node.rpartition('.')[0]}.{host}" for host in range(1, 251)]

    def _claim_network(self) -> str:
        for network in range(1, 255):
            address = f"127.1.{network}.254"
            with contextlib.suppress(OSError):
                self._claim.bind((address, CLAIM_PORT))
                return address
        raise RuntimeError("every network of 127.1.0.0/16 is taken by a running process node")

    def take(self) -> str:
        """Return a free address, the one that was free for the longest time."""
        return self._free.pop(0)

    def give_back(self, address: str) -> None:
        """Make an address free again."""
        self._free.append(address)

    def close(self) -> None:
        """Free the network."""
        self._claim.close()


class Node:
    """The node: its registration, its heartbeat and its pods."""

    def __init__(self, name: str, api: API, server: str, folder: Path, zone: str) -> None:
        self._name = name
        self._api = api
        self._zone = zone
        self._addresses = Addresses()
        self._pods: dict[str, Pod] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        ours = {"fieldSelector": f"spec.nodeName={name}"}
        self._bound = Mirror(api, "/api/v1/pods", self._pod_changed, ours)
        self._sources = {
            "ConfigMap": Mirror(api, "/api/v1/configmaps", self._source_changed),
            "Secret": Mirror(api, "/api/v1/secrets", self._source_changed),
        }
        self._known: dict[Key, str] = {}
        self._logs = LogServer(folder / "logs", lambda *key: key in self._known)
        self._port = 0
        self._around = Surroundings(
            api=api,
            server=server,
            find=lambda kind, namespace, name: self._sources[kind].objects.get((namespace, name)),
            http=httpx.AsyncClient(
                verify=False,  # noqa: S501 - as the kubelet: probes do not verify
                trust_env=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
            ),
            folder=folder,
            node_ip=self._addresses.node,
        )

    async def run(self) -> None:
        """Be a node until cancelled; then every process of every pod is killed."""
        try:
            async with asyncio.TaskGroup() as group:
                for source in self._sources.values():
                    group.create_task(source.run(), name="sources")
                for source in self._sources.values():
                    await source.synced.wait()
                self._port = await self._logs.start(self._addresses.node)
                await self._register()
                group.create_task(self._heartbeat(), name="heartbeat")
                group.create_task(self._bound.run(), name="pods")
        finally:
            self._logs.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._around.http.aclose()
            self._addresses.close()

    def _pod_changed(self, key: Key, thing: Object | None) -> None:
        uid = thing["metadata"]["uid"] if thing is not None else None
        before = self._known.get(key)
        if before is not None and before != uid:  # a new pod of the same name, or none
            self._pods[before].update(None)
            del self._known[key]
        if thing is None or uid is None:
            return
        if uid in self._pods:
            self._pods[uid].update(thing)
            return
        if thing.get("status", {}).get("phase") in {"Succeeded", "Failed"} and not thing[
            "metadata"
        ].get("deletionTimestamp"):
            return  # it ended in an earlier life of this node
        self._known[key] = uid
        pod = self._pods[uid] = Pod(thing, self._addresses.take(), self._around)
        pod.update(thing)
        task = asyncio.create_task(self._run_pod(key, uid, pod), name=f"pod {'/'.join(key)}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(report_failure)

    async def _run_pod(self, key: Key, uid: str, pod: Pod) -> None:
        try:
            await pod.run()
        finally:
            del self._pods[uid]
            if self._known.get(key) == uid:
                del self._known[key]
            self._addresses.give_back(pod.address)

    def _source_changed(self, key: Key, _: Object | None) -> None:
        for (namespace, _name), uid in self._known.items():
            if namespace == key[0] and uid in self._pods:
                self._pods[uid].refresh()

    async def _register(self) -> None:
        labels = {
            "kubernetes.io/hostname": self._name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "topology.kubernetes.io/zone": self._zone,
        }
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self._name, "labels": labels},
        }
        with contextlib.suppress(Refused):  # registered in an earlier life
            await self._api.request("POST", "/api/v1/nodes", node)
        await self._say_ready()

    async def _say_ready(self) -> None:
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "ProcessNodeReady",
            "message": "containers run as processes of this machine",
            "lastHeartbeatTime": now(),
            "lastTransitionTime": now(),
        }
        status = {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "conditions": [condition],
            "addresses": [{"type": "InternalIP", "address": self._addresses.node}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "nodeInfo": {"kubeletVersion": "v1.34.4", "operatingSystem": "linux"},
        }
        path = f"/api/v1/nodes/{self._name}/status"
        await self._api.request("PATCH", path, {"status": status}, kind=MERGE)

    async def _heartbeat(self) -> None:
        while True:
            with contextlib.suppress(Refused, httpx.TransportError):
                await self._renew_lease()
                await self._say_ready()
            await asyncio.sleep(HEARTBEAT)

    async def _renew_lease(self) -> None:
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        renewed = now().removesuffix("Z") + ".000000Z"
        spec = {
            "holderIdentity": self._name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": renewed,
        }
        try:
            await self._api.request("PATCH", f"{path}/{self._name}", {"spec": spec}, kind=MERGE)
        except Refused as error:
            if error.status != 404:
                raise
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": self._name},
                "spec": spec,
            }
            await self._api.request("POST", path, lease)


async def serve(kubeconfig: Path, folder: Path, name: str, zone: str) -> None:
    """Run a node until SIGTERM."""
    loop = asyncio.get_running_loop()
    async with API(kubeconfig) as api:
        node = Node(name, api, Access.read(kubeconfig).server, folder, zone)
        running = asyncio.create_task(node.run(), name="node")
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await running


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description="A node whose containers are local processes.")
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for volumes and logs")
    parser.add_argument("--name", default="process-node")
    parser.add_argument("--zone", default="zone-a")
    args = parser.parse_args()
    asyncio.run(serve(args.kubeconfig, args.folder.resolve(), args.name, args.zone))


if __name__ == "__main__":
    main()
