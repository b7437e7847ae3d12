"""Requests of another client of the API server, asked again until they are answered.

kopf ends for good over what a watch has to outlast: a definition that is deleted and applied
again, a server that is slow to come back, a right that is missing for a while. It is given a
session of ours, which waits for the end of such things and lets kopf see none of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import aiohttp

from mcp_gateway_operator.cluster.access import Access
from mcp_gateway_operator.cluster.backoff import backoff
from mcp_gateway_operator.cluster.client import refusal
from mcp_gateway_operator.cluster.error import Gone, NotFound, Refused, Unreachable, words
from mcp_gateway_operator.render.kind import Kind

log = logging.getLogger(__name__)

_MOST: Final = 10.0
"""Seconds between two tries at most: as long a kind that is back may stay unnoticed."""


class Retry:
    """Middleware of a session that lists and watches one kind.

    Args:
        access: the way to the API server.
        kind: what is listed and watched; what else is asked for may be refused.
        listed: called when a list is complete and its watch has begun.
    """

    def __init__(self, access: Access, kind: Kind, listed: Callable[[], None]) -> None:
        self._access = access
        self._kind = kind
        self._listed = listed
        self._lists: set[str] = set()
        self._failures: dict[str, int] = {}

    def session(self) -> aiohttp.ClientSession:
        """Open a session; whoever uses it closes it."""
        connector = aiohttp.TCPConnector(ssl=self._access.tls, limit=0)
        return aiohttp.ClientSession(connector=connector, middlewares=(self,))

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send a request, as often as it takes."""
        while True:
            try:
                self._authorize(request)
                response = await handler(request)
                if response.status < 400:
                    self._answered(request)
                    return response
                answer = await response.read()
            except TimeoutError:
                raise  # of the whole request: there is no time for another try
            except (aiohttp.ClientConnectionError, OSError) as exc:
                await self._failed(request, Unreachable(words(exc)))
                continue
            error = refusal(response.status, answer, response.headers)
            if isinstance(error, Gone):
                if _watches(request):
                    return response
                # The rest of a list that took too long; kopf begins it anew.
                raise aiohttp.ClientPayloadError(str(error))
            if isinstance(error, Refused) and not self._ours(request):
                return response
            await self._failed(request, error)

    def _authorize(self, request: aiohttp.ClientRequest) -> None:
        # At each try: a token lasts less long than some of the waits here.
        if token := self._access.token():
            request.headers["Authorization"] = f"Bearer {token}"

    def _ours(self, request: aiohttp.ClientRequest) -> bool:
        return request.url.path.endswith(f"/{self._kind.plural}")

    def _answered(self, request: aiohttp.ClientRequest) -> None:
        path = request.url.path
        if self._failures.pop(path, 0):
            log.info("API server answers again", extra={"fields": {"path": path}})
        if not self._ours(request):
            return
        if not _watches(request):
            self._lists.add(path)
        elif path in self._lists:
            self._lists.remove(path)
            self._listed()

    async def _failed(self, request: aiohttp.ClientRequest, error: Unreachable | Refused) -> None:
        """Say so, once, and wait."""
        path = request.url.path
        count = self._failures[path] = self._failures.get(path, 0) + 1
        if count == 1:
            fields = {"path": path, "error": str(error)}
            if isinstance(error, NotFound):
                name = f"{self._kind.plural}.{self._kind.api_version.partition('/')[0]}"
                log.warning("definition missing", extra={"fields": {"definition": name} | fields})
            else:
                log.warning("watch broke", extra={"fields": {"kind": self._kind.name} | fields})
        least = error.retry_after if isinstance(error, Unreachable) else 0.0
        await asyncio.sleep(max(least, backoff(count, most=_MOST)))


def _watches(request: aiohttp.ClientRequest) -> bool:
    return "watch" in request.url.query
