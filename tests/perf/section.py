"""The parts of a run, each of which starts what it measures and returns its figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.perf import latency, measure, memory, wire
from tests.perf.latency import Added
from tests.perf.load import Plan
from tests.perf.measure import Row, Samples
from tests.perf.memory import Idle, Soak
from tests.perf.peers import AT_ONCE, EVERY_20_MS, Face, Yardstick, target
from tests.support.gateway_process import SimulatorProcess

HTTP = "MCP over HTTP"
WEBSOCKET = "MCP over WebSocket"
OPENAI = "OpenAI API"
NGINX = "nginx"
STREAMS = 32


@dataclass(frozen=True, slots=True)
class Options:
    """How long and how hard to measure.

    Attributes:
        rounds: times every row is measured.
        requests: per row and round.
        connections: requests in flight.
        latency_seconds: of open-loop load per face, round and side.
        websockets: idle ones to open.
    """

    rounds: int = 5
    requests: int = 10_000
    connections: int = 32
    latency_seconds: float = 5.0
    websockets: int = 1_000


@dataclass(frozen=True, slots=True)
class Bench:
    """The running peers of a run and how to use them."""

    provider: SimulatorProcess
    face: Face
    yardstick: Yardstick | None
    options: Options
    say: Callable[[str], None]

    def plans(self, *, stream: bool) -> dict[str, Plan]:
        face = self.face
        return {
            HTTP: Plan(face.http, wire.mcp_http(face.http, stream=stream)),
            WEBSOCKET: Plan(face.websocket, wire.mcp_websocket(stream=stream), websocket=True),
            OPENAI: Plan(face.openai, wire.openai(face.openai, stream=stream)),
        }

    def _rows(self, *, stream: bool) -> list[Row]:
        rows = [
            Row(name, plan, self.face.pids, per_event=stream)
            for name, plan in self.plans(stream=stream).items()
        ]
        if self.yardstick is not None:
            to = self.yardstick.streamed if stream else self.yardstick.whole
            plan = Plan(to, wire.openai(to, stream=stream))
            rows.append(Row(NGINX, plan, self.yardstick.pids, per_event=stream))
        return rows

    async def requests(self) -> dict[str, Samples]:
        """CPU per request of every face and of nginx."""
        return await measure.rounds(
            self._rows(stream=False),
            count=self.options.rounds,
            requests=self.options.requests,
            connections=self.options.connections,
            say=self.say,
        )

    async def chunks(self) -> dict[str, Samples]:
        """CPU per chunk of every face and of nginx, 32 streams at a time."""
        self.provider.configure(EVERY_20_MS)
        try:
            return await measure.rounds(
                self._rows(stream=True),
                count=self.options.rounds,
                requests=STREAMS * 2,
                connections=STREAMS,
                say=self.say,
            )
        finally:
            self.provider.configure(AT_ONCE)

    async def latency(self, rates: dict[str, float]) -> list[Added]:
        """Time added to an answer by every face, given what each one can carry a second."""
        alone = target(f"{self.provider.url}/chat/completions", "bench")
        return [
            await latency.added(
                name,
                plan,
                Plan(alone, wire.openai(alone)),
                saturation=rates[name],
                rounds=self.options.rounds,
                seconds=self.options.latency_seconds,
                say=self.say,
            )
            for name, plan in self.plans(stream=False).items()
        ]

    async def idle(self) -> Idle:
        """Memory of a gateway that was started for this."""
        plan = Plan(self.face.websocket, [], websocket=True)
        return await memory.idle(self.face.process.child.pid, plan, self.options.websockets)

    async def soak(self, seconds: float) -> Soak:
        """Memory over a long run of requests on all faces, streams among them."""
        plans = [*self.plans(stream=False).values(), *self.plans(stream=True).values()]
        return await memory.soak(
            self.face.process.child.pid,
            plans,
            seconds=seconds,
            connections=self.options.connections,
            say=self.say,
        )
