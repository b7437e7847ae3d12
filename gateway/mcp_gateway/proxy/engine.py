"""The gateway without its listeners: the document in force, and what carries exchanges.

A new document comes into force between two exchanges, whole or not at all.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable
from dataclasses import dataclass

from mcp_gateway.api import LimitsUpdate, ModelShare, Spec
from mcp_gateway.config import client_keys
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.errors import ConfigError, GatewayError
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.accounts import Accounts, Plan
from mcp_gateway.proxy.catalog import Catalog
from mcp_gateway.proxy.dispatch import Elsewhere
from mcp_gateway.proxy.exchange import Exchange
from mcp_gateway.proxy.layers.recording import Recorder
from mcp_gateway.proxy.middleware import Handler, Middleware
from mcp_gateway.proxy.snapshot import Services, Snapshot, build_layers, compile_snapshot
from mcp_gateway.telemetry.logs import LineWriter
from mcp_gateway.telemetry.metrics import Registry
from mcp_gateway.telemetry.tracing import Tracer

log = logging.getLogger(__name__)

IDS = 64
"""Ids that are drawn at once."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document of which everything that could fail is done."""

    spec: Spec
    plans: list[Plan]
    layers: list[Middleware]


class Engine:
    """Carries exchanges by the document in force.

    Args:
        secrets: reads what the document refers to.
        metrics: where everything is counted.
        lines: where the `logging` layer writes.
        elsewhere: makes attempts where this pod holds no slot; None where there are no others.
        in_fleet: an operator may divide the limits among this process and others.
        process: what tells this process from others.

    Attributes:
        generation: documents applied so far.
        generated_key: the client key made because the document names none; empty where it does.
    """

    def __init__(
        self,
        secrets: SecretReader,
        metrics: Registry,
        lines: LineWriter,
        elsewhere: Elsewhere | None = None,
        *,
        in_fleet: bool = False,
        process: str = "",
    ) -> None:
        self.generation = 0
        self.generated_key = ""
        self.accounts = Accounts(secrets, metrics, in_fleet=in_fleet, process=process)
        self._ids: list[str] = []
        self._generated_line = ""
        self._lines = lines
        self._services = Services(secrets, metrics, lines, self._generate_key, elsewhere=elsewhere)
        self._snapshot: Snapshot | None = None

    @property
    def snapshot(self) -> Snapshot:
        """The document in force, compiled."""
        assert self._snapshot is not None, "a document is applied before anything is asked"
        return self._snapshot

    @property
    def catalog(self) -> Catalog:
        """What can be called now."""
        return self.snapshot.catalog

    def new_id(self) -> str:
        """An id for an exchange: 32 hexadecimal digits, never used before."""
        if not self._ids:
            # Many at a time: each call lets go of the interpreter lock, and waits to get it back.
            block = os.urandom(16 * IDS).hex()
            self._ids = [block[at : at + 32] for at in range(0, len(block), 32)]
        return self._ids.pop()

    async def handle(self, exchange: Exchange) -> ChatAnswer | None:
        """Carry one exchange through the layers; a chat's answer, None for the rest.

        Raises:
            GatewayError: whatever went wrong, in words for the client. A bug here becomes one
                too, with nothing of its inside.
        """
        try:
            return await self.snapshot.handler(exchange)
        except (GatewayError, asyncio.CancelledError):
            raise
        except Exception as exc:
            log.exception("exchange failed", extra={"fields": {"exchange": exchange.id}})
            raise GatewayError(
                f"internal error; the log has it under exchange {exchange.id}"
            ) from exc

    def traced(self, exchange: Exchange, handler: Handler) -> Awaitable[ChatAnswer | None]:
        """Carry another pod's exchange through `handler`, as part of its trace if it has one."""
        layer = self.snapshot.tracing
        if layer is None or not exchange.traceparent:
            return handler(exchange)
        return layer(exchange, handler)

    def prepare(self, spec: Spec) -> Prepared:
        """Do everything about a document that can fail; nothing is changed.

        Raises:
            ConfigError: it cannot be brought into force.
        """
        return Prepared(spec, self.accounts.plan(spec), build_layers(spec, self._services))

    def commit(
        self, prepared: Prepared, recorder: Recorder | None, tracer: Tracer | None = None
    ) -> list[Account]:
        """Bring a prepared document into force.

        Returns:
            The accounts it retired, whose pools are to be drained.
        """
        retired = self.accounts.commit(prepared.spec, prepared.plans)
        self._snapshot = compile_snapshot(
            prepared.spec,
            prepared.layers,
            self.accounts.live,
            recorder,
            self._services,
            tracer=tracer,
        )
        self.generation += 1
        return retired

    def set_limits(self, update: LimitsUpdate) -> None:
        """Move the limits that `update` names.

        Raises:
            ConfigError: it names a provider that there is not, or one whose limits an operator
                divides; nothing was changed.
        """
        for name in update.providers:
            if name not in self.accounts.live:
                known = ", ".join(self.accounts.live)
                raise ConfigError(f"providers.{name}: there is no such provider; expected {known}")
            if self.accounts.live[name].governed:
                raise ConfigError(
                    f"providers.{name}: its limits are divided by the operator, because "
                    "spec.tuning.mode is Auto: change spec.providers[].limits of the MCPGateway "
                    "resource, or set the mode to Off or Recommend"
                )
        for name, share in update.providers.items():
            account = self.accounts.live[name]
            _move(account, "", share)
            for model, part in share.by_model.items():
                _move(account, model, part)

    async def drain(self, grace: float) -> None:
        """Let what is in flight end within `grace` seconds, then close every connection."""
        pools = [account.pool.drain(grace) for account in self.accounts.live.values()]
        await asyncio.gather(*pools)
        self._lines.flush()

    async def aclose(self) -> None:
        """Close every connection now."""
        await self.accounts.aclose()
        self._lines.close()

    def _generate_key(self) -> str:
        if not self._generated_line:
            self.generated_key, self._generated_line = client_keys.create("generated")
        return self._generated_line


def _move(account: Account, model: str, share: ModelShare) -> None:
    """Move what may be used of the account's limits, or of a model's; what is left out stays."""
    given = share.model_fields_set
    if "share" in given:
        account.pool.set_share(share.share, lane=model)
    if "requests_per_minute" in given:
        account.rates_of(model).set_requests(share.requests_per_minute)
    if "tokens_per_minute" in given:
        account.rates_of(model).set_tokens(share.tokens_per_minute)
