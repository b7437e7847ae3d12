"""Pods that are busy, as far as an operator can tell: `python -m ... FOLDER NET N PORT`.

Each listens on an address of its own over TLS, takes configurations and grants, and reports as
often as it is told to, with other numbers each time. A process of its own, so that what they cost
is not counted as the operator's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import sys
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from mcp_gateway.api.control import (
    SUBPROTOCOL,
    Ack,
    Config,
    Grant,
    Hello,
    Ping,
    Pong,
    Report,
    read_down,
)
from mcp_gateway.api.quota import LimitReport, Quota

ACCOUNTS = ("kimi", "backup")


class BusyPod:
    """One pod: two accounts, demand that comes and goes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rng = random.Random(name)
        self._every = 1.0
        self._epoch = self._sequence = self._arrivals = 0
        self._shares: dict[str, Quota] = {}

    async def serve(self, connection: ServerConnection) -> None:
        """Talk until the channel ends."""
        with contextlib.suppress(ConnectionClosed):
            await connection.send(Hello(pod=self._name, version="0", generation=1).encode())
            await connection.send(self._report())
            reporting = asyncio.create_task(self._go_on(connection), name="report")
            try:
                async for text in connection:
                    for answer in self._answers(text):
                        await connection.send(answer)
            finally:
                reporting.cancel()

    async def _go_on(self, connection: ServerConnection) -> None:
        await asyncio.sleep(self._rng.random())
        while True:
            await connection.send(self._report())
            await asyncio.sleep(self._every)

    def _answers(self, text: str | bytes) -> list[str]:
        match read_down(text):
            case Config(generation=generation, epoch=epoch):
                self._epoch = max(self._epoch, epoch)
                return [Ack(generation=generation).encode()]
            case Grant() as grant:
                self._epoch, self._sequence = grant.epoch, grant.sequence
                self._every = grant.report_every
                self._shares = {quota.provider: quota for quota in grant.quotas}
                return [self._report()]
            case Ping():
                return [Pong().encode()]
            case _:
                return []

    def _report(self) -> str:
        limits = [self._limit(name) for name in ACCOUNTS]
        return Report(
            epoch=self._epoch, sequence=self._sequence, limits=limits, since=1.0, errors=0,
            requests=self._arrivals,
        ).encode()  # fmt: skip

    def _limit(self, provider: str) -> LimitReport:
        quota = self._shares.get(provider)
        share = (quota.share if quota is not None else None) or 0
        wanted = self._rng.randrange(1, 12)
        self._arrivals += wanted
        return LimitReport(
            provider=provider, account=f"account-{provider}", share=share, limit=share,
            in_flight=min(share, wanted), waiting=max(0, wanted - share), arrivals=self._arrivals,
            completions=self._arrivals, service_seconds=1.5 * self._arrivals,
            wait_p50=0.01, wait_p99=0.2, requests_in_window=60,
        )  # fmt: skip


async def main(folder: Path, net: str, count: int, port: int) -> None:
    """Serve until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    async with contextlib.AsyncExitStack() as stack:
        for number in range(1, count + 1):
            pod = BusyPod(f"web-{number}")
            await stack.enter_async_context(
                serve(pod.serve, f"{net}.{number}", port, ssl=context, subprotocols=[SUBPROTOCOL])  # type: ignore[list-item]
            )
        print("ready", flush=True)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
