"""An API server that says what a test wrote down, at the border to the network."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from mcp_gateway_operator.cluster import Access, Cluster
from mcp_gateway_operator.cluster.client import JSON
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.render.kind import Kind


@dataclass
class Sent:
    """A request that was sent."""

    verb: str
    path: str
    body: Any
    params: Mapping[str, str]


class ScriptedCluster(Cluster):
    """Answers each request with the next answer; an exception among them is raised.

    Attributes:
        delays: seconds until the answer to the request of a number, from 0, comes.
    """

    def __init__(self, *answers: Any) -> None:
        super().__init__(Access("https://cluster", ssl.create_default_context()), Metrics())
        self.answers = list(answers)
        self.watches: list[Any] = []
        self.sent: list[Sent] = []
        self.delays: dict[int, float] = {}

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
        within: float = 30.0,
    ) -> bytes:
        """Take note of the request and give the next answer."""
        if not urgent and method != "GET":
            self.may_write()
        self.sent.append(Sent(verb, path, json.loads(body) if body else None, dict(params or {})))
        answer = self.answers.pop(0)
        if delay := self.delays.get(len(self.sent) - 1):
            await asyncio.sleep(delay)
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer).encode()

    async def stream(
        self, kind: Kind, namespace: str | None, params: Mapping[str, str], *, partial: bool
    ) -> AsyncIterator[bytes]:
        """Give the lines of the next watch, and raise what is among them."""
        self.sent.append(Sent("watch", kind.path(namespace), None, dict(params)))
        for line in self.watches.pop(0):
            if isinstance(line, Exception):
                raise line
            if callable(line):
                await line()
                continue
            yield json.dumps(line).encode()
