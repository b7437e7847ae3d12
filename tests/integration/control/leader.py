"""An operator that says what a test wants, over the real channel to one real pod."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable

from tests.integration.control.pods import SERVER_NAME, PodProcess, Pods
from websockets.asyncio.client import ClientConnection, connect

from mcp_gateway.api.control import (
    PATH,
    SUBPROTOCOL,
    Ack,
    Config,
    Grant,
    Hello,
    Ping,
    Pong,
    Report,
    Up,
    read_up,
)
from mcp_gateway.api.quota import LimitReport, Quota

PATIENCE = 60.0


class Leader:
    """One end of a channel."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.hello: Hello | None = None
        self._last: Report | None = None

    async def say(self, message: Config | Grant | Ping) -> None:
        await self._connection.send(message.encode())

    async def hear(self, wanted: Callable[[Up], bool]) -> list[Up]:
        """What is said up to the first message that is wanted, and that one."""
        heard: list[Up] = []
        async with asyncio.timeout(PATIENCE):
            while True:
                message = read_up(await self._connection.recv())
                if message is None:
                    continue
                if isinstance(message, Hello):
                    self.hello = message
                if isinstance(message, Report):
                    self._last = message
                heard.append(message)
                if wanted(message):
                    return heard

    async def report(self, wanted: Callable[[Report], bool] = lambda _: True) -> Report:
        """The first report that is wanted; the last one that was heard, where that is."""
        if self._last is not None and wanted(self._last):
            return self._last
        heard = await self.hear(lambda message: isinstance(message, Report) and wanted(message))
        last = heard[-1]
        assert isinstance(last, Report)
        return last

    async def grant(
        self, sequence: int, *quotas: Quota, epoch: int = 1, every: float = 0.1
    ) -> Report:
        """Grant, and return the answer."""
        grant = Grant(epoch=epoch, sequence=sequence, report_every=every, quotas=list(quotas))
        await self.say(grant)
        return await self.report(lambda told: (told.epoch, told.sequence) == (epoch, sequence))

    async def apply(self, generation: int, document: dict[str, object], epoch: int = 1) -> None:
        """Have a document brought into force."""
        await self.say(Config(generation=generation, epoch=epoch, document=document))
        await self.hear(lambda told: isinstance(told, Ack) and told.generation == generation)

    async def answers(self) -> list[Up]:
        """What is said until a ping is answered."""
        await self.say(Ping())
        return await self.hear(lambda message: isinstance(message, Pong))


@contextlib.asynccontextmanager
async def leader(pods: Pods, pod: PodProcess) -> AsyncIterator[Leader]:
    """Lead one pod for the length of the block."""
    context = ssl.create_default_context(cadata=pods.credentials.ca)
    async with connect(
        f"wss://{pod.pod.ip}:{pods.port}{PATH}",
        ssl=context,
        server_hostname=SERVER_NAME,
        subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
        additional_headers={"Authorization": f"Bearer {pods.credentials.token}"},
        proxy=None,
        ping_interval=None,
    ) as connection:
        yield Leader(connection)


def limit(report: Report, provider: str = "kimi", model: str = "") -> LimitReport:
    """What a report says of one limit."""
    return next(each for each in report.limits if (each.provider, each.model) == (provider, model))
