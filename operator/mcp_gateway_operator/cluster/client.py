"""The operator's requests to the API server: few verbs, one session, all counted and paced."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, Generic, Self, TypeVar

import aiohttp
import msgspec

from mcp_gateway_operator.cluster.access import Access
from mcp_gateway_operator.cluster.error import (
    NotFound,
    Refused,
    Unreachable,
    error_for,
    words,
)
from mcp_gateway_operator.cluster.rate import Pace
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.render.gateway import MANAGER
from mcp_gateway_operator.render.kind import BY_NAME, Kind

PARTIAL: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIAL_LIST: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
APPLY: Final = "application/apply-patch+yaml"  # JSON is YAML
MERGE: Final = "application/merge-patch+json"
JSON: Final = "application/json"

_TIMEOUT: Final = 30.0
MOST_RETRY_AFTER: Final = 60.0
"""Seconds; what a proxy in between says may be a day."""
_QUIET: Final = 600.0  # longer than any watch; a dead peer is found by TCP, see _socket
_NOT_CONNECTED: Final = (aiohttp.ClientError, asyncio.TimeoutError, OSError)

T = TypeVar("T")


class _Refusal(msgspec.Struct):
    """The `Status` object that an API server answers with when it says no."""

    code: int = 0
    reason: str = ""
    message: str = ""


class _ListMetadata(msgspec.Struct, rename={"version": "resourceVersion", "token": "continue"}):
    version: str = ""
    token: str = ""


class _Page(msgspec.Struct, Generic[T]):
    metadata: _ListMetadata
    items: list[T] | None = None  # what Go has none of is null


class Cluster:
    """An API server. Use it as an async context manager.

    Args:
        access: the way to it.
        metrics: where requests are counted.
        rate: requests a second; watches and leases are not held up.
        burst: requests at once after a pause.
        may_write: called right before a write leaves; raises what keeps it from leaving.
    """

    def __init__(
        self,
        access: Access,
        metrics: Metrics,
        *,
        rate: float = 200.0,
        burst: int = 400,
        may_write: Callable[[], None] | None = None,
    ) -> None:
        self.access = access
        self._metrics = metrics
        self._pace = Pace(rate, burst)
        self.may_write = may_write or _anyone
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            ssl=self.access.tls, limit=256, keepalive_timeout=60.0, socket_factory=_socket
        )
        self._session = aiohttp.ClientSession(
            connector=connector, headers={"User-Agent": MANAGER}, read_bufsize=2**18
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(
        self, kind: Kind, namespace: str | None, name: str, as_: type[T], *, partial: bool = False
    ) -> T | None:
        """Read one object; None where there is none."""
        try:
            answer = await self.request(
                "get", "GET", kind.path(namespace, name), accept=PARTIAL if partial else JSON
            )
        except NotFound:
            return None
        return msgspec.json.decode(answer, type=as_)

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        as_: type[T],
        *,
        selector: str = "",
        partial: bool = False,
        page: int = 250,
    ) -> AsyncIterator[tuple[list[T], str]]:
        """Read all objects of a kind, page by page, with the version that a watch goes on from."""
        params = {"limit": str(page)} | ({"labelSelector": selector} if selector else {})
        decoder: msgspec.json.Decoder[_Page[T]] = msgspec.json.Decoder(_Page[as_])  # type: ignore[valid-type]
        while True:
            answer = await self.request(
                "list", "GET", kind.path(namespace), params=params,
                accept=PARTIAL_LIST if partial else JSON,
            )  # fmt: skip
            found = decoder.decode(answer)
            yield found.items or [], found.metadata.version
            if not found.metadata.token:
                return
            params["continue"] = found.metadata.token

    async def apply(
        self, rendered: Mapping[str, Any], as_: type[T], *, sub: str = "", force: bool = True
    ) -> T:
        """Apply an object server-side: the fields in it become ours, all others stay."""
        metadata, kind = rendered["metadata"], BY_NAME[rendered["kind"]]
        answer = await self.request(
            "apply", "PATCH", kind.path(metadata["namespace"], metadata["name"], sub),
            params={"fieldManager": MANAGER, "force": "true" if force else "false"},
            body=msgspec.json.encode(rendered), content_type=APPLY,
        )  # fmt: skip
        return msgspec.json.decode(answer, type=as_)

    async def create(self, kind: Kind, namespace: str, body: Mapping[str, Any], as_: type[T]) -> T:
        """Make an object that must not be there yet."""
        answer = await self.request(
            "create", "POST", kind.path(namespace), params={"fieldManager": MANAGER},
            body=msgspec.json.encode(body),
        )  # fmt: skip
        return msgspec.json.decode(answer, type=as_)

    async def patch(
        self, kind: Kind, namespace: str, name: str, body: Mapping[str, Any], *, sub: str = ""
    ) -> None:
        """Merge a few fields into an object."""
        await self.request(
            "patch", "PATCH", kind.path(namespace, name, sub), params={"fieldManager": MANAGER},
            body=msgspec.json.encode(body), content_type=MERGE,
        )  # fmt: skip

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> bool:
        """Delete the object of exactly this uid; false where it was gone."""
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        try:
            await self.request(
                "delete", "DELETE", kind.path(namespace, name), body=msgspec.json.encode(body)
            )
        except NotFound:
            return False
        return True

    async def request(
        self,
        verb: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        urgent: bool = False,
        within: float = _TIMEOUT,
    ) -> bytes:
        """Send one request; the body of the answer.

        Args:
            verb: what it counts as.
            method: of HTTP.
            path: address within the server.
            params: query.
            body: JSON.
            content_type: of the body.
            accept: form of the answer.
            urgent: a lease's: neither held up nor held back.
            within: seconds for all of it.

        Raises:
            ClusterError: it was not done, or nobody knows.
        """
        if not urgent:
            self._metrics.api_wait_seconds.inc(await self._pace.wait())
            if method != "GET":
                self.may_write()
        headers = self._headers(accept)
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            async with self._connected.request(
                method, self.access.server + path, params=params, data=body, headers=headers,
                timeout=aiohttp.ClientTimeout(total=within),
            ) as response:  # fmt: skip
                answer = await response.read()
                self._count(verb, response.status)
                if response.status >= 400:
                    raise refusal(response.status, answer, response.headers)
                return answer
        except _NOT_CONNECTED as exc:
            self._count(verb, 0)
            raise Unreachable(f"{method} {path}: {words(exc)}") from exc

    async def stream(
        self, kind: Kind, namespace: str | None, params: Mapping[str, str], *, partial: bool
    ) -> AsyncIterator[bytes]:
        """The lines of one watch, until the server ends it.

        Raises:
            ClusterError: it did not begin, or broke.
        """
        timeout = aiohttp.ClientTimeout(sock_connect=10.0, sock_read=_QUIET)
        try:
            async with self._connected.get(
                self.access.server + kind.path(namespace), params=params, timeout=timeout,
                headers=self._headers(PARTIAL if partial else JSON),
            ) as response:  # fmt: skip
                self._count("watch", response.status)
                if response.status >= 400:
                    raise refusal(response.status, await response.read(), response.headers)
                rest = b""
                async for chunk in response.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line:
                            yield line
        except _NOT_CONNECTED as exc:
            self._count("watch", 0)
            raise Unreachable(f"watch {kind.plural}: {words(exc)}") from exc

    def _headers(self, accept: str) -> dict[str, str]:
        headers = {"Accept": accept}
        try:
            token = self.access.token()
        except OSError as exc:
            raise Unreachable(f"the token cannot be read: {exc}") from exc
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _count(self, verb: str, status: int) -> None:
        code = f"{status // 100}xx" if status else "none"
        self._metrics.api_requests.labels(verb, code).inc()

    @property
    def _connected(self) -> aiohttp.ClientSession:
        assert self._session is not None, "used as an async context manager"
        return self._session


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that notices within a minute that nobody is there any more.

    A watch on what never changes is silent for as long as it lasts, so silence tells nothing.
    """
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


def _anyone() -> None:
    """Let every write leave: for one who is not one of several."""


def refusal(status: int, answer: bytes, headers: Mapping[str, str]) -> Unreachable | Refused:
    """The error that an answer of 400 and above stands for."""
    try:
        said = msgspec.json.decode(answer, type=_Refusal)
    except (msgspec.DecodeError, msgspec.ValidationError):
        said = _Refusal(message=answer[:200].decode(errors="replace").strip())
    try:
        retry_after = max(0.0, min(float(headers.get("Retry-After", "0")), MOST_RETRY_AFTER))
    except ValueError:
        retry_after = 0.0
    return error_for(status, said.reason, said.message, retry_after)
