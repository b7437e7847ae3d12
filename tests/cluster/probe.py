"""Probes of a container, as the kubelet runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from tests.cluster.api import Object

Execute = Callable[[list[str], float], Awaitable[str | None]]
"""Run a command beside the container, for so many seconds; None, or what went wrong."""


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
    timeout = float(probe.get("timeoutSeconds") or 1)
    if "httpGet" in probe:
        return await _http_get(probe["httpGet"], target, timeout)
    if "tcpSocket" in probe:
        return await _connect(probe["tcpSocket"], target, timeout)
    if "exec" in probe:
        return await target.execute(probe["exec"]["command"], timeout)
    if "sleep" in probe:
        await asyncio.sleep(probe["sleep"]["seconds"])
        return None
    return f"the process node knows no probe {sorted(probe)}"


async def _http_get(action: Object, target: Target, timeout: float) -> str | None:
    scheme = action.get("scheme", "HTTP").lower()
    host = action.get("host") or target.address
    url = f"{scheme}://{host}:{target.port(action['port'])}{action.get('path') or '/'}"
    headers = {entry["name"]: entry["value"] for entry in action.get("httpHeaders") or []}
    try:
        async with asyncio.timeout(timeout):
            answer = await target.http.get(url, headers=headers)
    except TimeoutError:
        return f"no answer from {url} within {timeout:g} s"
    except httpx.HTTPError as error:
        return f"{url}: {error or type(error).__name__}"
    if 200 <= answer.status_code < 400:
        return None
    return f"HTTP probe failed with statuscode: {answer.status_code}"


async def _connect(action: Object, target: Target, timeout: float) -> str | None:
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(
                action.get("host") or target.address, target.port(action["port"])
            )
    except (TimeoutError, OSError) as error:
        return str(error) or "no connection in time"
    writer.close()
    return None


async def watch(
    probe: Object, target: Target, *, initially: bool, report: Callable[[bool, str], None]
) -> None:
    """Run a probe periodically and report each change of its verdict, until cancelled.

    Args:
        probe: as in the container's spec.
        target: what to aim at.
        initially: the verdict before the first run.
        report: called with the new verdict and, for a failure, its reason.
    """
    await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0))
    period = float(probe.get("periodSeconds") or 10)
    needed = {
        True: int(probe.get("successThreshold") or 1),
        False: int(probe.get("failureThreshold") or 3),
    }
    verdict, run_length, last = initially, 0, initially
    while True:
        reason = await check(probe, target)
        good = reason is None
        run_length = run_length + 1 if good is last else 1
        last = good
        if good is not verdict and run_length >= needed[good]:
            verdict = good
            report(verdict, reason or "")
        # A kubelet waits a whole period after a failed start-up check too; a test need not.
        await asyncio.sleep(period if verdict or initially else min(period, 0.25))
