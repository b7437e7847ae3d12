"""Accounts that are bound by requests or by tokens a minute, in life's own time.

The windows of a minute are the provider's and the gateway's: they are not scaled, so these runs
are played as slowly as life is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.perf.tuning import scenario as life
from tests.perf.tuning.play import PODS, SETTLE
from tests.perf.tuning.provider import Provider
from tests.perf.tuning.scenario import Pace
from tests.perf.tuning.world import LoadProcess, World
from tests.support.gateway_process import simulator
from tests.support.kubernetes import Cluster, Object

from mcp_gateway.api.simulator import SimulatorSettings

MINUTE = 60.0
WARM_UP = 1.05
"""Minutes before the measurement: until then the windows fill."""
OFFERED = 1.3
"""Times the limit."""
ANSWER = 100
"""Tokens of each answer, which the request also names as its maximum."""
CONCURRENCY = 1_000
SERVICE = 2.0
"""Seconds of each answer."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What a run found: percent of the limit that was used, and of the attempts refused."""

    name: str
    limit: int
    used: float
    refused: float


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit by the minute; what it counts is requests or their tokens."""

    name: str
    field: str
    limit: int


BOUNDS = {
    "RPM": Bound("requests per minute", "requestsPerMinute", 600),
    "TPM": Bound("tokens per minute", "tokensPerMinute", 60_000),
}


async def play(
    cluster: Cluster, folder: Path, say: Callable[[str], None], bound: Bound, minutes: int
) -> Rate:
    """Play one for some minutes."""
    pace = Pace(1.0, (minutes + WARM_UP) * MINUTE / life.LENGTH)
    with simulator() as process:
        async with (
            Provider(process) as provider,
            LoadProcess() as load,
            World(cluster, process.url, folder, pace, lambda pods: load.tell(pods=pods)) as world,
        ):
            await provider.configure(_provider(bound))
            limits: Object = {"concurrency": CONCURRENCY, bound.field: bound.limit}
            await world.create("blue", replicas=PODS, mode="Auto", limits=limits)
            await asyncio.sleep(SETTLE)
            await provider.forget()
            start = time.monotonic() + 0.2
            rate = OFFERED * bound.limit / MINUTE
            if bound.name.startswith("tokens"):
                rate /= load.tokens(ANSWER)
            load.tell(
                start=start, steady=rate * life.MEAN, pace=[1.0, pace.part], seed=1,
                max_tokens=ANSWER,
            )  # fmt: skip
            marks = []
            for minute in (WARM_UP, WARM_UP + minutes):
                await asyncio.sleep(max(0.0, start + minute * MINUTE - time.monotonic() - 0.1))
                marks.append(await provider.stats())
                say(f"{bound.name}: {marks[-1].get('requests', 0)} attempts")
            used = _admitted(marks[1], bound, load) - _admitted(marks[0], bound, load)
            refused = sum(marks[1]["refused"].values())
    return Rate(
        bound.name, bound.limit, 100.0 * used / (bound.limit * minutes),
        100.0 * refused / max(1, marks[1]["requests"]),
    )  # fmt: skip


def _admitted(stats: dict[str, object], bound: Bound, load: LoadProcess) -> float:
    refused = stats["refused"]
    assert isinstance(refused, dict)
    requests = stats["requests"]
    assert isinstance(requests, int)
    admitted = requests - sum(refused.values())
    return admitted * (load.tokens(ANSWER) if bound.name.startswith("tokens") else 1)


def _provider(bound: Bound) -> SimulatorSettings:
    return SimulatorSettings.model_validate(
        {
            "wire": "kimi",
            bound.field: bound.limit,
            "latency": {
                "firstToken": {"median": SERVICE, "sigma": 0.2},
                "perToken": {"median": 0.0},
                "refusal": {"median": life.REFUSAL[0], "sigma": life.REFUSAL[1]},
            },
            "answerTokens": {"median": ANSWER * 2, "sigma": 0.0},
        }
    )
