"""Simulated providers run inside the gateway, each on a loopback port of its own.

To the rest of the gateway they are ordinary providers: the document's `type: simulator` is
replaced by the wire they speak and the address they listen on.
"""

from __future__ import annotations

from mcp_gateway.api import Endpoint, Provider, SimulatorSettings, Spec
from mcp_gateway.simulator import Simulator


class Simulators:
    """Owns the running simulators, by provider name."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[SimulatorSettings, Simulator, str]] = {}
        self._replaced: list[tuple[Simulator, str]] = []

    async def resolve(self, spec: Spec) -> Spec:
        """Start what `spec` simulates and return it with addresses in place.

        A simulator whose settings stay goes on as it is. Those that are no longer wanted run
        until `release`: a document that is refused changes nothing, and requests in flight end.
        """
        providers = [
            await self._resolved(provider) if provider.type == "simulator" else provider
            for provider in spec.providers
        ]
        return spec.model_copy(update={"providers": providers})

    async def release(self, spec: Spec) -> None:
        """End the simulators that `spec`, in force and resolved, does not have."""
        wanted = {p.name for p in spec.providers if p.type == "simulator"}
        used = {endpoint.url for p in spec.providers for endpoint in p.endpoints}
        for name in [name for name in self._running if name not in wanted]:
            self._replaced.append(self._running.pop(name)[1:])
        # One that a refused document would have replaced is in use still.
        ending = [simulator for simulator, url in self._replaced if url not in used]
        self._replaced = [each for each in self._replaced if each[1] in used]
        for simulator in ending:
            await simulator.aclose()

    async def aclose(self) -> None:
        """End all."""
        running = [(simulator, url) for _, simulator, url in self._running.values()]
        self._running.clear()
        for simulator, _ in [*running, *self._replaced]:
            await simulator.aclose()

    async def _resolved(self, provider: Provider) -> Provider:
        url = await self._ensure(provider.name, provider.simulator_settings)
        return provider.model_copy(update={"endpoints": [Endpoint(url=url)]})

    async def _ensure(self, name: str, settings: SimulatorSettings) -> str:
        known = self._running.get(name)
        if known is not None and known[0] == settings:
            return known[2]
        simulator = Simulator(settings)
        url = await simulator.start("127.0.0.1", 0)
        if known is not None:
            self._replaced.append(known[1:])
        self._running[name] = (settings, simulator, url)
        return url
