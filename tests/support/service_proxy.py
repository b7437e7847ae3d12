"""A Service as tests reach it: a TCP proxy on loopback to its ready endpoints, in turn.

Addresses of Services lead nowhere on a process node. This forwards as kube-proxy would: a new
connection goes to the next ready endpoint, an established one stays where it is, and nothing is
tried twice, so that a client sees what it would see in production.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster.api import API, Key, Mirror, Object

CHUNK = 65536
START_TIMEOUT = 60.0
STOP_TIMEOUT = 10.0


class NoEndpoint(AssertionError):
    """The Service has no ready endpoint."""


class ServiceProxy:
    """A listener for one port of a Service. A context manager: leaving it ends the connections.

    It runs on a thread and a loop of its own, so that tests may block.

    Attributes:
        host, port: where it listens, once entered.
    """

    host = "127.0.0.1"

    def __init__(self, kubeconfig: Path, namespace: str, service: str, port: int | str) -> None:
        """Forward to the port of that number or name."""
        self.port = 0
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._service = service
        self._wanted = port
        self._turn = 0
        self._slices: dict[Key, Object] = {}
        self._port_name: str | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._up = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(
            target=self._work, name=f"proxy of {namespace}/{service}", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._up.wait(START_TIMEOUT):
            raise TimeoutError(f"no list of the endpoints of {self._service} in time")
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_TIMEOUT)

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    def endpoints(self) -> list[tuple[str, int]]:
        """Return address and port of every ready endpoint, in a steady order."""
        ready = []
        for part in list(self._slices.values()):
            number = next(
                (
                    entry["port"]
                    for entry in part.get("ports") or []
                    if (entry.get("name") or "") == (self._port_name or "")
                ),
                None,
            )
            for endpoint in part.get("endpoints") or []:
                if number is not None and endpoint["conditions"].get("ready") is not False:
                    ready += [(address, number) for address in endpoint["addresses"][:1]]
        return sorted(ready)

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
        finally:
            self._up.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with API(self._kubeconfig) as api:
            self._port_name = await self._name_of_port(api)
            mirror = Mirror(
                api,
                f"/apis/discovery.k8s.io/v1/namespaces/{self._namespace}/endpointslices",
                lambda key, part: None,
                {"labelSelector": f"kubernetes.io/service-name={self._service}"},
            )
            self._slices = mirror.objects
            following = asyncio.create_task(mirror.run(), name="endpoints")
            try:
                await mirror.synced.wait()
                server = await asyncio.start_server(self._accept, self.host, 0)
                self.port = server.sockets[0].getsockname()[1]
                self._up.set()
                await self._stop.wait()
                server.close()
            finally:
                tasks = [following, *self._connections]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _name_of_port(self, api: API) -> str | None:
        path = f"/api/v1/namespaces/{self._namespace}/services/{self._service}"
        for entry in (await api.request("GET", path))["spec"].get("ports") or []:
            if self._wanted in {entry["port"], entry.get("name")}:
                name: str | None = entry.get("name")
                return name
        raise NoEndpoint(f"the Service {self._service} has no port {self._wanted}")

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer), name="connection")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        task.add_done_callback(lambda _: writer.close())

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ready = self.endpoints()
        if not ready:
            return  # closed at once, where kube-proxy refuses
        self._turn += 1
        try:
            upstream = await asyncio.open_connection(*ready[self._turn % len(ready)])
        except OSError:
            return
        try:
            await asyncio.gather(_copy(reader, upstream[1]), _copy(upstream[0], writer))
        finally:
            upstream[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction until it ends, and pass the end on."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
