"""Traces as documents want them: the receiver and the sampling change, the queue stays."""

from __future__ import annotations

import asyncio
import importlib.util
from dataclasses import dataclass

from mcp_gateway.api.operation import Tracing as TracingSpec
from mcp_gateway.errors import ConfigError
from mcp_gateway.protocol import trace_context
from mcp_gateway.telemetry.tracing import Exporter, SpanSender, SpanStats, Tracer

_LIBRARY = "opentelemetry.exporter.otlp.proto.http"


@dataclass(frozen=True, slots=True)
class Prepared:
    """`spec.monitoring.tracing`, with everything done that could fail.

    Attributes:
        exporter: to the receiver it names; None where that is the one in force.
    """

    spec: TracingSpec | None
    exporter: Exporter | None


class Tracing:
    """Owns the sender of spans.

    Args:
        gateway: what traces call this gateway.
    """

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self._sender = SpanSender()
        self._used = False

    async def prepare(self, spec: TracingSpec | None) -> Prepared:
        """Make what `spec` needs; nothing is changed.

        Raises:
            ConfigError: the library that speaks OTLP is not installed, or its settings in the
                environment are wrong.
        """
        if spec is None or spec.otlp_endpoint == self._sender.endpoint:
            return Prepared(spec, None)
        # In a thread: loading the library takes half a second, and requests may be under way.
        return Prepared(spec, await asyncio.to_thread(_connect, spec.otlp_endpoint, self._gateway))

    def discard(self, prepared: Prepared) -> None:
        """Close what was prepared and is not wanted after all."""
        if prepared.exporter is not None:
            prepared.exporter.abort()

    def apply(self, prepared: Prepared) -> Tracer | None:
        """Bring what was prepared into force; how exchanges are traced, None where they are not."""
        if prepared.spec is None:
            self._sender.use(None)
            return None
        self._used = True
        if prepared.exporter is not None:
            self._sender.use(prepared.exporter)
        return Tracer(self._sender.put, trace_context.threshold(prepared.spec.sample_ratio))

    def stats(self) -> SpanStats | None:
        """Counts since the start; None where nothing was ever traced."""
        return self._sender.stats() if self._used else None

    async def aclose(self, grace: float) -> None:
        """Send what is waiting, within `grace` seconds, and end. Idempotent."""
        await self._sender.aclose(grace)


def installed() -> bool:
    """The library that speaks OTLP is there. Does not load it."""
    try:
        return importlib.util.find_spec(_LIBRARY) is not None
    except ModuleNotFoundError:  # a parent of it is missing
        return False


def _connect(endpoint: str, gateway: str) -> Exporter:
    if not installed():
        raise ConfigError(
            "monitoring.tracing: the OpenTelemetry exporter is missing:"
            " install it with: pip install 'mcp-gateway[tracing]'"
        )
    # Here and not above: who asks for no traces does not pay for the library.
    from mcp_gateway.telemetry.tracing_otlp import OTLPExporter  # noqa: PLC0415

    try:
        return OTLPExporter(endpoint, gateway=gateway)
    except ValueError as error:
        raise ConfigError(f"monitoring.tracing: OTEL_* in the environment: {error}") from error
