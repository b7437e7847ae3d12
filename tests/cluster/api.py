"""A small asynchronous client of the Kubernetes API: what the process node needs, and no more."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty where there is none) and name."""

REQUEST_TIMEOUT = 30.0
WATCH_SECONDS = 240
RETRY_DELAY = 0.2

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class Refused(Exception):
    """The API server's answer was an error; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Access:
    """Where an API server is and how to be let in: the current context of a kubeconfig."""

    server: str
    authority: str | None
    token: str | None
    certificate: tuple[str, str] | None
    """PEM texts of a client's certificate and its key."""

    @classmethod
    def read(cls, kubeconfig: Path) -> Self:
        """Read a kubeconfig as this project, kind and most installers write them."""
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        certificate = _pem(user, "client-certificate"), _pem(user, "client-key")
        return cls(
            server=cluster["server"],
            authority=_pem(cluster, "certificate-authority"),
            token=user.get("token"),
            certificate=(certificate[0], certificate[1])
            if certificate[0] is not None and certificate[1] is not None
            else None,
        )

    def tls(self) -> ssl.SSLContext:
        """Return the context that verifies the server and shows the client's certificate."""
        context = ssl.create_default_context(cadata=self.authority)
        if self.certificate is not None:
            _load_certificate(context, *self.certificate)
        return context


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    import tempfile  # noqa: PLC0415 - only somebody's own cluster needs it

    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # ssl reads files only
        file.write(f"{certificate}\n{key}\n")
        file.flush()
        context.load_cert_chain(file.name)


def _named(entries: list[Object], name: str) -> Object:
    return next(entry for entry in entries if entry["name"] == name)


def _pem(holder: Mapping[str, str], name: str) -> str | None:
    if f"{name}-data" in holder:
        return base64.b64decode(holder[f"{name}-data"]).decode()
    return Path(holder[name]).read_text(encoding="utf-8") if name in holder else None


class API:
    """One connection pool to an API server. A context manager: leaving it closes the pool."""

    def __init__(self, kubeconfig: Path) -> None:
        access = Access.read(kubeconfig)
        self._http = httpx.AsyncClient(
            base_url=access.server,
            verify=access.tls(),
            headers={"Authorization": f"Bearer {access.token}"} if access.token else {},
            timeout=REQUEST_TIMEOUT,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def request(
        self, method: str, path: str, body: Object | None = None, *, kind: str = "application/json"
    ) -> Object:
        """Send one request and return the object of its answer.

        Raises:
            Refused: the answer's status is 400 or more.
            httpx.TransportError: there was no answer.
        """
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind} if body is not None else {}
        answer = await self._http.request(method, path, content=content, headers=headers)
        if answer.status_code >= 400:
            raise Refused(answer.status_code, f"{method} {path}: {answer.text[:500]}")
        result: Object = answer.json()
        return result

    def stream(self, path: str, parameters: Mapping[str, str]) -> Any:
        """Open a watch: an asynchronous context manager of a response to read lines from."""
        timeout = httpx.Timeout(REQUEST_TIMEOUT, read=WATCH_SECONDS + REQUEST_TIMEOUT)
        return self._http.stream("GET", path, params=dict(parameters), timeout=timeout)


def key_of(thing: Object) -> Key:
    """Return namespace and name of an object."""
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


class Mirror:
    """A collection of the API, kept current in memory by list and watch.

    Attributes:
        objects: what there is now.
        synced: set once the first list is in.
    """

    def __init__(
        self,
        api: API,
        path: str,
        changed: Callable[[Key, Object | None], None],
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """Say with `changed(key, object)` what is new, with None in place of what is gone."""
        self.objects: dict[Key, Object] = {}
        self.synced = asyncio.Event()
        self._api = api
        self._path = path
        self._changed = changed
        self._parameters = dict(parameters or {})

    async def run(self) -> None:
        """Follow the collection until cancelled, through restarts of the server."""
        while True:
            try:
                version = await self._list()
                self.synced.set()
                await self._watch(version)
            except (httpx.TransportError, Refused, json.JSONDecodeError):
                await asyncio.sleep(RETRY_DELAY)

    async def _list(self) -> str:
        query = str(httpx.QueryParams(self._parameters))
        found = await self._api.request("GET", f"{self._path}?{query}" if query else self._path)
        present = {key_of(item): item for item in found["items"] or []}
        for key in [key for key in self.objects if key not in present]:
            self._put(key, None)
        for key, item in present.items():
            old = self.objects.get(key)
            if old is None or _version(old) != _version(item):
                self._put(key, item)
        version: str = found["metadata"]["resourceVersion"]
        return version

    async def _watch(self, version: str) -> None:
        """Take changes until the server ends the watch, or says that `version` is too old."""
        parameters = {
            **self._parameters,
            "watch": "1",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        async with self._api.stream(self._path, parameters) as answer:
            async for line in answer.aiter_lines():
                event = json.loads(line)
                if event.get("type") not in {"ADDED", "MODIFIED", "DELETED"}:
                    return
                item = event["object"]
                self._put(key_of(item), None if event["type"] == "DELETED" else item)

    def _put(self, key: Key, item: Object | None) -> None:
        if item is None:
            self.objects.pop(key, None)
        else:
            self.objects[key] = item
        self._changed(key, item)


def _version(item: Object) -> str:
    version: str = item["metadata"]["resourceVersion"]
    return version


def report_failure(task: asyncio.Task[None]) -> None:
    """Write down why a task ended that nobody waits for; a callback of tasks."""
    if not task.cancelled() and (error := task.exception()) is not None:
        print(f"{task.get_name()} failed", file=sys.stderr)
        traceback.print_exception(error)
