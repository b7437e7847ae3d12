"""The sections of the benchmark: a change on ten pods, a new gateway, a thousand, busy pods."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.perf import machine
from tests.perf.fleet.result import Row, percentile
from tests.perf.fleet.tuning import busy_pods
from tests.perf.fleet.watcher import Watcher, gateway, observed, ready
from tests.support.kubernetes import Cluster
from tests.support.operator_process import OperatorProcess, running_operator

TIMEOUT = 60.0
MANY_TIMEOUT = 600.0
BUSY_SECONDS = 30.0
AT_ONCE = 16
READS = ("get", "list", "watch")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Attributes:
        changes: of a spec, on all pods.
        pods: of that gateway.
        starts: of new gateways.
        many: gateways at once.
        rest: seconds in which nothing happens.
        busy: pods that report all the time.
    """

    changes: int = 200
    pods: int = 10
    starts: int = 10
    many: int = 1000
    rest: float = 60.0
    busy: int = 50


@dataclass(frozen=True, slots=True)
class Bench:
    """Where it is measured.

    Attributes:
        cluster: the cluster.
        folder: for logs.
        size: how much.
        say: tells a person who waits.
    """

    cluster: Cluster
    folder: Path
    size: Size
    say: Callable[[str], None]

    async def changes(self) -> list[Row]:
        """Measure from a change of the spec to its being applied on every pod."""
        times: list[float] = []
        pods = self.size.pods
        with (
            self.cluster.namespace("bench") as home,
            running_operator(self.cluster, home, self.folder) as operator,
        ):
            async with Watcher(self.cluster.kubeconfig, home) as watcher:
                await watcher.create(gateway("ten", replicas=pods))
                await watcher.until(
                    lambda: _applied(watcher, pods) > 0, f"{pods} pods run it", TIMEOUT * 2
                )
                await asyncio.sleep(3.0)  # the first probes and Events are not what is measured
                before, cpu = operator.requests(), machine.cpu_seconds([operator.pid])
                for number in range(self.size.changes):
                    known = _applied(watcher, pods)
                    started = time.perf_counter()
                    await watcher.change("ten", {"retry": {"maxRetries": number % 2 + 1}})
                    ended = await watcher.until(
                        lambda known=known: _applied(watcher, pods) > known,  # type: ignore[misc]
                        "the change is on all pods", TIMEOUT,
                    )  # fmt: skip
                    times.append(ended - started)
                used = machine.cpu_seconds([operator.pid]) - cpu
                await asyncio.sleep(1.0)
                after = operator.requests()
        calls = sum(after[verb] - before[verb] for verb in after if verb != "patch")
        note = "from sending the change to reading in the status that all pods run it"
        return [
            Row(f"applied on all of {pods} pods, p50", percentile(times, 0.5) * 1e3, "ms"),
            Row(f"applied on all of {pods} pods, p99", percentile(times, 0.99) * 1e3, "ms", 1000.0,
                note),
            Row("the same, the slowest", max(times) * 1e3, "ms"),
            Row("the operator's CPU for a change", used / len(times) * 1e3, "ms"),
            Row("requests to the API server for a change", calls / len(times), "requests", None,
                "Events among them; the Lease's renewals apart"),
        ]  # fmt: skip

    async def starts(self) -> list[Row]:
        """Measure from a new MCPGateway to its condition Ready."""
        times: list[float] = []
        with (
            self.cluster.namespace("bench") as home,
            running_operator(self.cluster, home, self.folder),
        ):
            async with Watcher(self.cluster.kubeconfig, home) as watcher:
                for number in range(self.size.starts):
                    name = f"new-{number}"
                    started = time.perf_counter()
                    await watcher.create(gateway(name, replicas=1))
                    ended = await watcher.until(
                        lambda name=name: ready(watcher.find(name)),  # type: ignore[misc]
                        f"{name} is Ready", TIMEOUT,
                    )  # fmt: skip
                    times.append(ended - started)
                    await watcher.delete(name)
        return [
            Row("apply to Ready, median", percentile(times, 0.5), "s"),
            Row("apply to Ready, the slowest", max(times), "s", 5.0,
                "a pod is a process here; where images are pulled, that comes on top"),
        ]  # fmt: skip

    async def many(self) -> list[Row]:
        """Measure a thousand gateways: made, met again after a restart, at rest, changed."""
        number = self.size.many
        with self.cluster.namespace("bench") as home:
            async with Watcher(self.cluster.kubeconfig, home) as watcher:
                with running_operator(self.cluster, home, self.folder) as operator:
                    rows = await self._made(watcher, operator, number)
                    operator.quiet(timeout=MANY_TIMEOUT)
                self.say("starting the operator again")
                started = time.perf_counter()
                with running_operator(self.cluster, home, self.folder) as operator:
                    rows += await self._met(operator, number, started)
                    rows += await self._at_rest(operator)
                    rows += await self._changed(watcher, operator)
        return rows

    async def tuning(self) -> list[Row]:
        """Measure what busy pods cost: their reports, decisions about them, grants to them."""
        return await busy_pods(self.folder, self.size.busy, BUSY_SECONDS, self.say)

    async def _made(self, watcher: Watcher, operator: OperatorProcess, number: int) -> list[Row]:
        self.say(f"making {number} gateways")
        cpu, started = machine.cpu_seconds([operator.pid]), time.perf_counter()
        gate = asyncio.Semaphore(AT_ONCE)

        async def make(index: int) -> None:
            async with gate:
                await watcher.create(gateway(f"many-{index}", replicas=0))

        await asyncio.gather(*(make(index) for index in range(number)))
        made = time.perf_counter() - started
        ended = await watcher.until(
            lambda: watcher.count(observed) >= number,
            f"{number} gateways have a status", MANY_TIMEOUT,
        )  # fmt: skip
        writes = operator.writes()
        used = machine.cpu_seconds([operator.pid]) - cpu
        return [
            Row(f"{number} gateways made: all looked at", ended - started, "s", None,
                f"sending them took {made:.1f} s of it; ten objects each"),
            Row("the same: writes for each", writes / number, "requests"),
            Row("the same: the operator's CPU for each", used / number * 1e3, "ms"),
            Row("memory after that", machine.resident_kib(operator.pid) / 1024, "MiB", 200.0),
        ]  # fmt: skip

    async def _met(self, operator: OperatorProcess, number: int, started: float) -> list[Row]:
        name = "mcp_gateway_operator_reconcile_seconds_count"
        while operator.metric(name) < number:
            if time.perf_counter() - started > MANY_TIMEOUT:
                raise AssertionError(f"not every gateway was looked at:\n{operator.lines()[-3:]}")
            await asyncio.sleep(0.05)
        took = time.perf_counter() - started
        used = machine.cpu_seconds([operator.pid])
        requests, writes = operator.requests(), operator.writes()
        return [
            Row(f"cold start with {number} gateways: all looked at", took, "s", None,
                "from starting the process; the former leader had handed the Lease over"),
            Row("the same: CPU", used, "s"),
            Row("the same: reads", sum(requests[verb] for verb in READS), "requests"),
            Row("the same: writes", writes, "requests", 0.0),
            Row("memory after a cold start", machine.resident_kib(operator.pid) / 1024, "MiB",
                200.0),
        ]  # fmt: skip

    async def _at_rest(self, operator: OperatorProcess) -> list[Row]:
        seconds = self.size.rest
        self.say(f"watching it rest for {seconds:g} s")
        operator.quiet()
        await asyncio.sleep(5.0)
        before, cpu = operator.requests(), machine.cpu_seconds([operator.pid])
        started = time.perf_counter()
        await asyncio.sleep(seconds)
        used = machine.cpu_seconds([operator.pid]) - cpu
        passed = time.perf_counter() - started
        after = operator.requests()
        others = sum(after[verb] - before[verb] for verb in after if verb not in {"patch", "get"})
        lease = sum(after[verb] - before[verb] for verb in ("patch", "get"))
        return [
            Row("CPU at rest", used / passed * 100, "% of a core"),
            Row("requests at rest but the Lease's", others / passed * 60, "a minute", None,
                "watches that end by themselves and are opened again"),
            Row("requests at rest for the Lease", lease / passed * 60, "a minute"),
            Row("memory at rest", machine.resident_kib(operator.pid) / 1024, "MiB", 200.0),
        ]  # fmt: skip

    async def _changed(self, watcher: Watcher, operator: OperatorProcess) -> list[Row]:
        changes = min(50, self.size.many)
        before, cpu = operator.requests(), machine.cpu_seconds([operator.pid])
        times: list[float] = []
        for index in range(changes):
            name = f"many-{index}"
            known = _generation(watcher, name)
            started = time.perf_counter()
            await watcher.change(name, {"retry": {"maxRetries": 2}})
            ended = await watcher.until(
                lambda name=name, known=known: _generation(watcher, name) > known  # type: ignore[misc]
                and observed(watcher.find(name)),
                f"{name} was looked at", TIMEOUT,
            )  # fmt: skip
            times.append(ended - started)
        operator.quiet(1.0)
        used = machine.cpu_seconds([operator.pid]) - cpu
        after = operator.requests()
        calls = sum(after[verb] - before[verb] for verb in ("create", "apply", "delete"))
        return [
            Row("a change among them: looked at, p99", percentile(times, 0.99) * 1e3, "ms"),
            Row("writes for a change among them", calls / changes, "requests", None,
                "the ConfigMap and the status, and an Event where there is news"),
            Row("the operator's CPU for a change among them", used / changes * 1e3, "ms", None,
                "with the questions of this benchmark about its figures"),
        ]  # fmt: skip


def _applied(watcher: Watcher, pods: int) -> int:
    """The number of the configuration that all pods run; 0 while some do not."""
    status = (watcher.find("ten") or {}).get("status", {})
    if status.get("configApplied") != f"{pods}/{pods}":
        return 0
    return int(status.get("configGeneration", 0))


def _generation(watcher: Watcher, name: str) -> int:
    """The API server's count of changes of one's spec."""
    found = watcher.find(name)
    return int(found["metadata"]["generation"]) if found else 0
