"""One pod of the process node: its volumes, its containers, its status and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.cluster import probe, volume
from tests.cluster.api import API, STRATEGIC, Object, Refused, report_failure
from tests.cluster.command import Paths, base_environment, expand
from tests.cluster.container import Container, Room, now, ports
from tests.cluster.volume import SourceMissing

TOKEN_PLACE = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS = 3600
RETRY = 0.25
# Or a list would be merged with what an earlier life of this node said.
REPLACE = {"$patch": "replace"}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a node gives to its pods."""

    api: API
    server: str
    find: Callable[[str, str, str], Object | None]
    """The object of a kind, namespace and name."""
    http: httpx.AsyncClient
    folder: Path
    node_ip: str


class Pod:
    """A pod that the scheduler bound to this node, from its first container to its deletion."""

    def __init__(self, thing: Object, address: str, surroundings: Surroundings) -> None:
        self.thing = thing
        self.address = address
        self._around = surroundings
        metadata = thing["metadata"]
        self._namespace: str = metadata["namespace"]
        self._name: str = metadata["name"]
        self._folder = surroundings.folder / "pods" / metadata["uid"]
        self._logs = surroundings.folder / "logs" / f"{self._namespace}_{self._name}"
        self._dirty = asyncio.Event()
        self._leaving = asyncio.Event()
        self._gone = False
        self._sent: Object = {}
        self._began = now()
        self._initialized = False
        self._since: dict[str, tuple[str, str]] = {}
        self._token: tuple[float, bytes] = (0.0, b"")
        before = {
            status["name"]: int(status["restartCount"]) + 1
            for word in ("initContainerStatuses", "containerStatuses")
            for status in thing.get("status", {}).get(word) or []
            if status.get("containerID")  # an earlier life of this node ran it
        }
        room = Room(
            environment=self._environment,
            paths=self._paths,
            target=self._target,
            folder=self._folder,
            log=lambda name: self._logs / f"{name}.log",
            changed=self._dirty.set,
            restart_policy=thing["spec"].get("restartPolicy", "Always"),
        )
        spec = thing["spec"]
        self._first = [
            Container(each, room, before.get(each["name"], 0))
            for each in spec.get("initContainers") or []
        ]
        self._main = [
            Container(each, room, before.get(each["name"], 0)) for each in spec["containers"]
        ]

    # What the node tells it.

    def update(self, thing: Object | None) -> None:
        """Take the pod's object as it is now; None: it is gone, so everything ends at once."""
        if thing is None:
            self._gone = True
            self._leaving.set()
            return
        self.thing = thing
        if thing["metadata"].get("deletionTimestamp"):
            self._leaving.set()

    def refresh(self) -> None:
        """Write volumes whose ConfigMap or Secret changed; a missing one keeps its last files."""
        if self._initialized:
            with contextlib.suppress(SourceMissing):
                self._write_volumes()

    # Its life.

    async def run(self) -> None:
        """Run the pod until it is deleted."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._dirty.set()
        tasks = [
            asyncio.create_task(work, name=f"{what} of {self._name}")
            for what, work in (
                ("life", self._live()),
                ("status", self._report()),
                ("token", self._renew_token()),
            )
        ]
        for task in tasks:
            task.add_done_callback(report_failure)
        try:
            await self._leaving.wait()
            await self._end()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            shutil.rmtree(self._folder, ignore_errors=True)
        if not self._gone:
            await self._persist(self._push)
            await self._persist(self._delete)

    async def _live(self) -> None:
        await self._persist(self._fetch_token)
        while True:
            try:
                self._write_volumes()
                break
            except SourceMissing:  # as the kubelet: no container before its volumes
                await asyncio.sleep(RETRY)
        async with asyncio.TaskGroup() as group:
            for spec, container in zip(
                self.thing["spec"].get("initContainers") or [], self._first, strict=True
            ):
                if spec.get("restartPolicy") == "Always":  # a sidecar runs beside the rest
                    group.create_task(container.run("Always"), name=container.name)
                    await container.started.wait()
                elif await container.run("OnFailure" if self._restarts() else "Never"):
                    self._dirty.set()
                    return
            if self._leaving.is_set():
                return
            self._initialized = True
            self._dirty.set()
            for container in self._main:
                group.create_task(container.run(), name=container.name)

    def _restarts(self) -> bool:
        return bool(self.thing["spec"].get("restartPolicy", "Always") != "Never")

    async def _end(self) -> None:
        metadata = self.thing["metadata"]
        grace = 0.0 if self._gone else float(metadata.get("deletionGracePeriodSeconds") or 0)
        await asyncio.gather(*(container.end(grace) for container in [*self._main, *self._first]))

    async def _persist(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Repeat until the API server takes it, or does not know the pod any more."""
        while not self._gone:
            try:
                await action()
                return
            except Refused as error:
                print(f"{self._namespace}/{self._name}: {error}", file=sys.stderr, flush=True)
                if error.status in {404, 409}:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(RETRY)

    # What its containers see.

    def _find(self, kind: str, name: str) -> Object | None:
        return self._around.find(kind, self._namespace, name)

    def _write_volumes(self) -> None:
        for each in self.thing["spec"].get("volumes") or []:
            place = self._folder / "volumes" / each["name"]
            place.mkdir(parents=True, exist_ok=True)
            files = volume.volume_files(each, self._seen(), self._find, lambda _: self._token[1])
            if files is not None:
                volume.write(place, files, volume.mode_of(each))

    def _seen(self) -> Object:
        """Return the pod with the addresses that the API may not have heard of yet."""
        addresses = {
            "podIP": self.address,
            "podIPs": self.address,
            "hostIP": self._around.node_ip,
            "hostIPs": self._around.node_ip,
        }
        return {**self.thing, "status": {**self.thing.get("status", {}), **addresses}}

    def _paths(self, spec: Object) -> Paths:
        mounts = {
            mount["mountPath"]: self._folder / "volumes" / mount["name"] / mount.get("subPath", "")
            for mount in spec.get("volumeMounts") or []
        }
        return Paths(mounts)

    def _environment(self, spec: Object) -> dict[str, str]:
        variables = base_environment(self.address, self._name, self._folder)
        variables |= self._access(spec)
        for source in spec.get("envFrom") or []:
            prefix = source.get("prefix", "")
            for kind, word in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
                if word in source:
                    found = volume.data_files(kind, source[word]["name"], source[word], self._find)
                    variables |= {prefix + key: text.decode() for key, text in found.items()}
        paths = self._paths(spec)
        for entry in spec.get("env") or []:
            value = self._variable(entry, variables)
            if value is not None:
                variables[entry["name"]] = paths.translate(value)
        return variables

    def _variable(self, entry: Object, so_far: dict[str, str]) -> str | None:
        source = entry.get("valueFrom")
        if source is None:
            return expand(entry.get("value", ""), so_far)
        if "fieldRef" in source:
            return volume.field_value(self._seen(), source["fieldRef"]["fieldPath"])
        for kind, word in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
            if word in source:
                wanted = source[word]
                item = {"key": wanted["key"], "path": "value"}
                picked = {**wanted, "items": [item]}
                files = volume.data_files(kind, wanted["name"], picked, self._find)
                return files["value"].decode() if files else None
        return None  # resources are not limited here, so there is nothing to say of them

    def _access(self, spec: Object) -> dict[str, str]:
        """Return how a container finds the API server.

        A client library looks for the service account's files at one fixed path, which is not
        this pod's on a machine without containers; a kubeconfig says the same elsewhere.
        """
        mounts = spec.get("volumeMounts") or []
        if not any(mount["mountPath"] == TOKEN_PLACE for mount in mounts):
            return {"KUBECONFIG": str(self._folder / "no-access")}
        place = self._paths(spec).translate(TOKEN_PLACE)
        user = {"tokenFile": f"{place}/token"}
        cluster = {"server": self._around.server, "certificate-authority": f"{place}/ca.crt"}
        context = {"cluster": "in", "user": "in", "namespace": self._namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "in", "cluster": cluster}],
            "users": [{"name": "in", "user": user}],
            "contexts": [{"name": "in", "context": context}],
            "current-context": "in",
        }
        file = self._folder / "kubeconfig"
        file.write_text(yaml.safe_dump(config), encoding="utf-8")
        return {"KUBECONFIG": str(file)}

    async def _fetch_token(self) -> None:
        account = self.thing["spec"].get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{self._namespace}/serviceaccounts/{account}/token"
        metadata = self.thing["metadata"]
        bound = {"kind": "Pod", "apiVersion": "v1", "name": self._name, "uid": metadata["uid"]}
        spec = {"expirationSeconds": TOKEN_SECONDS, "boundObjectRef": bound}
        answer = await self._around.api.request(
            "POST",
            path,
            {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec},
        )
        self._token = time.monotonic(), answer["status"]["token"].encode()

    async def _renew_token(self) -> None:
        while True:
            await asyncio.sleep(TOKEN_SECONDS * 0.8)
            await self._persist(self._fetch_token)
            self.refresh()

    def _target(self, spec: Object, execute: probe.Execute) -> probe.Target:
        return probe.Target(self.address, ports(spec), execute, self._around.http)

    # What the API is told.

    async def _report(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._persist(self._push)

    async def _push(self) -> None:
        status = self._status()
        if status == self._sent:
            return
        path = f"/api/v1/namespaces/{self._namespace}/pods/{self._name}/status"
        body = {"metadata": {"uid": self.thing["metadata"]["uid"]}, "status": status}
        await self._around.api.request("PATCH", path, json.loads(json.dumps(body)), kind=STRATEGIC)
        self._sent = status

    async def _delete(self) -> None:
        path = f"/api/v1/namespaces/{self._namespace}/pods/{self._name}"
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": self.thing["metadata"]["uid"]},
        }
        await self._around.api.request("DELETE", path, options)

    def _status(self) -> Object:
        phase = self._phase()
        ready = phase == "Running" and all(container.ready for container in self._main)
        facts = {
            "PodReadyToStartContainers": True,
            "Initialized": self._initialized,
            "ContainersReady": ready,
            "Ready": ready and self._gates_open(),
        }
        return {
            "phase": phase,
            "conditions": [self._condition(name, fact) for name, fact in facts.items()],
            "hostIP": self._around.node_ip,
            "hostIPs": [{"ip": self._around.node_ip}, REPLACE],
            "podIP": self.address,
            "podIPs": [{"ip": self.address}, REPLACE],
            "startTime": self._began,
            "initContainerStatuses": [container.status() for container in self._first],
            "containerStatuses": [container.status() for container in self._main],
        }

    def _condition(self, name: str, fact: bool) -> Object:
        value = str(fact)
        if self._since.get(name, ("", ""))[0] != value:
            self._since[name] = value, now()
        reason = "ContainersNotReady" if self._initialized else "ContainersNotInitialized"
        return {
            "type": name,
            "status": value,
            "lastTransitionTime": self._since[name][1],
            "reason": None if fact else reason,
        }

    def _gates_open(self) -> bool:
        conditions = self.thing.get("status", {}).get("conditions") or []
        true = {entry["type"] for entry in conditions if entry["status"] == "True"}
        gates = self.thing["spec"].get("readinessGates") or []
        return all(gate["conditionType"] in true for gate in gates)

    def _phase(self) -> str:
        codes = [container.exit_code for container in self._main]
        if any(code not in {None, 0} for code in (each.exit_code for each in self._first)):
            return "Failed" if not self._restarts() else "Pending"
        if not self._initialized:
            return "Pending"
        final = self._leaving.is_set() or self.thing["spec"].get("restartPolicy") != "Always"
        if final and all(code is not None for code in codes):
            return "Failed" if any(codes) else "Succeeded"
        if (
            any(container.running for container in self._main)
            or self._sent.get("phase") == "Running"
        ):
            return "Running"
        return "Pending"
