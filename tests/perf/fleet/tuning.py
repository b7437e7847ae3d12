"""What it costs the operator to hear busy pods and to divide their accounts, over real sockets."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

from tests.perf.fleet.busy_pods import ACCOUNTS
from tests.perf.fleet.result import Row
from tests.support.port import free_port
from tests.support.process import Child

from mcp_gateway.api import AccountLimits, Rollout
from mcp_gateway_operator import pki
from mcp_gateway_operator.facts import Credentials, Document, Key, Pod, Target, Term
from mcp_gateway_operator.fleet import PodFleet
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.tuning import AccountSpec

KEY = Key("default", "web")
SERVER_NAME = pki.server_name(*KEY)
STARTED = 30.0
CONNECTED = 30.0
WARM = 3.0
MOST = 10.0
"""Percent of a core that busy pods may cost."""


async def busy_pods(
    folder: Path, pods: int, seconds: float, say: Callable[[str], None]
) -> list[Row]:
    """Measure a leader's fleet, in this process, with pods in another."""
    say(f"{pods} busy pods for {seconds:g} s")
    net, port = f"127.{random.randint(64, 250)}.0", free_port()
    metrics = Metrics()
    fleet = PodFleet(port=port, metrics=metrics)
    with Child.module(
        "tests.perf.fleet.busy_pods", str(_control(folder)), net, str(pods), str(port), name="pods"
    ) as child:
        await asyncio.to_thread(child.wait_for_line, lambda line: line.startswith("ready"), STARTED)
        news = asyncio.Event()
        fleet.start(lambda _: news.set(), Term(1))
        fleet.assign(KEY, _target(folder, net, pods))
        try:
            await _until_connected(fleet, pods, news)
            await asyncio.sleep(WARM)
            reports, ticks = _reports(metrics), _ticks(metrics)
            used, started = time.process_time(), time.perf_counter()
            await asyncio.sleep(seconds)
            used, passed = time.process_time() - used, time.perf_counter() - started
            reports, ticks = _reports(metrics) - reports, _ticks(metrics) - ticks
            decided = _sample(metrics, "tuning_tick_seconds_sum")
        finally:
            await fleet.aclose()
    busy = used / passed * 100
    return [
        Row(f"CPU with {pods} busy pods", busy, "% of a core", MOST,
            f"{len(ACCOUNTS)} accounts on each; channels, decisions and grants"),
        Row("reports heard", reports / passed, "a second"),
        Row("CPU for a report, all in all", used / max(1.0, reports) * 1e6, "µs"),
        Row("decisions", ticks / passed, "a second"),
        Row("time of a decision", decided / max(1.0, _ticks(metrics)) * 1e3, "ms"),
    ]  # fmt: skip


def _control(folder: Path) -> Path:
    """Write the control Secret's files, as the kubelet does."""
    control = folder / "control"
    control.mkdir(exist_ok=True)
    made = pki.authority(None, time.time())
    for name, value in pki.control_data(made, SERVER_NAME, None, time.time()).items():
        (control / name).write_bytes(value)
    return control


def _target(folder: Path, net: str, pods: int) -> Target:
    document = Document(1, {"spec": {"providers": [{"name": name} for name in ACCOUNTS]}})
    account = AccountSpec(
        mode="Auto", frozen=False, limits=AccountLimits(concurrency=6 * pods), by_model=False,
        pod_cap=None, largest_replicas=pods,
    )  # fmt: skip
    found = tuple(
        Pod(f"web-{number}", f"uid-{number}", f"{net}.{number}", ready=True)
        for number in range(1, pods + 1)
    )
    control = folder / "control"
    return Target(
        wanted=document, promoted=document, epoch=1, rollout=Rollout(), pods=found,
        credentials=Credentials(
            token=(control / "token").read_text(), ca=(control / "ca.crt").read_text(),
            server_name=SERVER_NAME,
        ),
        accounts=dict.fromkeys(ACCOUNTS, account),
        born_here=frozenset(pod.uid for pod in found),
    )  # fmt: skip


async def _until_connected(fleet: PodFleet, pods: int, news: asyncio.Event) -> None:
    async with asyncio.timeout(CONNECTED):
        while sum(pod.connected for pod in fleet.view(KEY).pods.values()) < pods:
            news.clear()
            await news.wait()


def _reports(metrics: Metrics) -> float:
    return _sample(metrics, "reports_total")


def _ticks(metrics: Metrics) -> float:
    return _sample(metrics, "tuning_tick_seconds_count")


def _sample(metrics: Metrics, name: str) -> float:
    return metrics.registry.get_sample_value(f"mcp_gateway_operator_{name}") or 0.0
