"""Probes of a container, as the kubelet runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
from tests.cluster.api import Object

QUICK = 0.25
"""Seconds between probes of what is not ready yet, where the kubelet waits a whole period."""

Execute = Callable[[list[str]], Awaitable[str | None]]
"""Run a command beside the container; None, or what went wrong."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a container's probes aim at."""

    address: str
    ports: dict[str, int]
    execute: Execute
    http: httpx.AsyncClient

    def port(self, wanted: int | str) -> int:
        """Return the number of a port given by number or name."""
        return wanted if isinstance(wanted, int) else self.ports[wanted]


async def check(probe: Object, target: Target) -> str | None:
    """Run a probe (or a hook, which has the same actions) once; None, or why it failed."""
    seconds = float(probe.get("timeoutSeconds") or 1)
    try:
        async with asyncio.timeout(seconds):
            return await _act(probe, target)
    except TimeoutError:
        return f"no answer within {seconds:g} s"


async def _act(probe: Object, target: Target) -> str | None:
    if "httpGet" in probe:
        return await _http_get(probe["httpGet"], target)
    if "tcpSocket" in probe:
        return await _connect(probe["tcpSocket"], target)
    if "exec" in probe:
        return await target.execute(probe["exec"]["command"])
    if "sleep" in probe:
        await asyncio.sleep(probe["sleep"]["seconds"])
        return None
    return f"the process node knows no probe {sorted(probe)}"


async def _http_get(action: Object, target: Target) -> str | None:
    scheme = action.get("scheme", "HTTP").lower()
    host = action.get("host") or target.address
    url = f"{scheme}://{host}:{target.port(action['port'])}{action.get('path') or '/'}"
    headers = {entry["name"]: entry["value"] for entry in action.get("httpHeaders") or []}
    try:
        answer = await target.http.get(url, headers=headers)
    except httpx.HTTPError as error:
        return f"{url}: {error or type(error).__name__}"
    if 200 <= answer.status_code < 400:
        return None
    return f"{url} answered with status {answer.status_code}"


async def _connect(action: Object, target: Target) -> str | None:
    host = action.get("host") or target.address
    try:
        _, writer = await asyncio.open_connection(host, target.port(action["port"]))
    except OSError as error:
        return str(error)
    writer.close()
    return None


async def started(probe: Object, target: Target) -> bool:
    """Run a startup probe until it passes; false when it has failed as long as it may.

    The kubelet tries once per period; a test need not wait that long for a quick process.
    """
    period = float(probe.get("periodSeconds") or 10)
    allowed = period * int(probe.get("failureThreshold") or 3)
    deadline = asyncio.get_running_loop().time() + allowed
    await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0))
    while await check(probe, target) is not None:
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(min(period, QUICK))
    return True


async def watch(
    probe: Object, target: Target, *, initially: bool, report: Callable[[bool, str], None]
) -> None:
    """Run a probe periodically and report each change of its verdict, until cancelled.

    Args:
        probe: as in the container's spec.
        target: what to aim at.
        initially: the verdict before the first run: liveness begins good, readiness bad.
        report: called with the new verdict and, for a failure, its reason.
    """
    await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0))
    period = float(probe.get("periodSeconds") or 10)
    needed = {
        True: int(probe.get("successThreshold") or 1),
        False: int(probe.get("failureThreshold") or 3),
    }
    verdict, length, last = initially, 0, initially
    while True:
        reason = await check(probe, target)
        good = reason is None
        length = length + 1 if good is last else 1
        last = good
        if good is not verdict and length >= needed[good]:
            verdict = good
            report(verdict, reason or "")
        await asyncio.sleep(period if verdict else min(period, QUICK))
