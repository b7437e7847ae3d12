"""What the listeners need of the gateway behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from mcp_gateway.providers.base import ChatAnswer, ChatCall
from mcp_gateway.proxy.exchange import Client, Exchange


class Model(Protocol):
    """One model that can be called."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def provider(self) -> str:
        """The provider that has it."""

    @property
    def created(self) -> int:
        """Seconds since the epoch, 0 where it is not known."""


class Catalog(Protocol):
    """What can be called; `proxy.catalog.Catalog` is one."""

    @property
    def tools_json(self) -> bytes:
        """A JSON array of MCP Tool objects."""

    @property
    def instructions(self) -> str:
        """How to use the tools, for a model to read."""

    def call_from_tool(self, tool: str, arguments: msgspec.Raw) -> ChatCall | None:
        """The chat that `tools/call` asks for; None for `models`.

        Raises:
            InvalidMessage: no such tool.
            InvalidArguments: the arguments are not of the tool's form.
        """

    def call_from_openai(self, body: bytes) -> ChatCall:
        """The chat that a body of `POST /v1/chat/completions` asks for.

        Raises:
            InvalidArguments: it is no chat request.
        """

    async def models(self, client: Client) -> Sequence[Model]:
        """The models this client may call."""


class Engine(Protocol):
    """Runs exchanges; `proxy.engine.Engine` is one."""

    @property
    def catalog(self) -> Catalog:
        """The catalog in force now; another one after a reload."""

    def new_id(self) -> str:
        """A fresh exchange id, 32 hexadecimal digits."""

    async def handle(self, exchange: Exchange) -> ChatAnswer | None:
        """Run the layers and, for a chat, call a provider.

        Raises:
            GatewayError: refused or failed.
        """


class AdminBackend(Protocol):
    """What the admin port shows and changes."""

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether requests should be sent here, and why not."""

    def status(self) -> dict[str, Any]:
        """The picture that `/status` and the page show, JSON-ready."""

    def metrics(self) -> bytes:
        """Metrics in Prometheus' text format."""

    async def apply_config(self, document: bytes) -> dict[str, Any]:
        """Put another document in force, or keep the one that is.

        Raises:
            InvalidDocument: the document is wrong; nothing changed.
        """

    async def apply_limits(self, limits: bytes) -> dict[str, Any]:
        """Put other limits in force, all or none.

        Raises:
            InvalidDocument: the limits are wrong; nothing changed.
        """
