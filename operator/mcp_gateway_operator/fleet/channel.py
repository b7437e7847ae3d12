"""One pod's channel: dialed, held, and dialed again, for as long as the pod is wanted."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final, Protocol

from mcp_gateway.api.control import REPORT_EVERY, Grant, Ping, Pong, Probe, Report
from mcp_gateway_operator.facts import Credentials, Pod
from mcp_gateway_operator.fleet.conversation import Conversation, GaveUp, Pushed, Wanted, unobserved
from mcp_gateway_operator.fleet.wire import Address, Lost, Unconnected, Wire, WrongToken

FIRST_DELAY: Final = 0.5
LAST_DELAY: Final = 10.0
STEADY: Final = 60.0
"""Seconds a channel must have lasted for the next dial to be prompt."""

log = logging.getLogger(__name__)


class Dial(Protocol):
    """Opens channels; `wire.Dialer` is one."""

    def dial(self, address: Address, token: str) -> AbstractAsyncContextManager[Wire]:
        """Open a channel for the length of a block; raises `Unconnected`."""


class Channel:
    """Holds the channel to one pod in a task of its own, from `start` to `aclose`.

    Args:
        pod: whose.
        port: of its control port.
        credentials: what opens it.
        dialer: opens it.
        changed: called when something about the pod has changed; not for its counts.
        reported: called with each report, and the one before it.
        pushed: told of each answer to a configuration.
        report_every: seconds between two reports of a busy pod.
        rng: jitter, numbers in [0, 1).

    Attributes:
        talk: what the pod has said.
    """

    def __init__(
        self,
        pod: Pod,
        port: int,
        credentials: Credentials,
        *,
        dialer: Dial,
        changed: Callable[[], None],
        reported: Callable[[Report | None, Report], None] = lambda *_: None,
        pushed: Pushed = unobserved,
        report_every: float = REPORT_EVERY,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.talk = Conversation(pod.name, pushed, report_every=report_every)
        self._pod = pod
        self._port = port
        self._credentials = credentials
        self._former_token = ""
        self._dialer = dialer
        self._changed = changed
        self._reported = reported
        self._wanted: Wanted | None = None
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to dial."""
        self._task = self._loop.create_task(self._run(), name=f"channel to {self._pod.name}")

    async def aclose(self) -> None:
        """Close the channel and end. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def follow(self, credentials: Credentials) -> None:
        """Use other credentials from the next dial on; a channel that is open stays open.

        The kubelet brings a new token to the pod up to a minute after it was written, so the
        former one is tried as well.
        """
        if credentials.token != self._credentials.token:
            self._former_token = self._credentials.token
        self._credentials = credentials

    def hurry(self) -> None:
        """Dial at once if there is no channel: the pod is known to serve by now."""
        self._failures = 0
        self._hurry.set()

    def want(self, wanted: Wanted | None) -> None:
        """State what the pod is to run."""
        if wanted is not self._wanted:
            self._wanted = wanted
            self.talk.want(wanted)
            self._wake.set()

    def grant(self, grant: Grant) -> None:
        """State what the pod may use; told at once where there is a channel."""
        self.talk.grant(grant)
        self._wake.set()

    def ask(self, question: Probe | Ping) -> None:
        """Ask the pod something, if there is a channel."""
        self.talk.ask(question)
        self._wake.set()

    # --- inside --------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            began = self._loop.time()
            why = await self._once()
            if self._loop.time() - began >= STEADY:
                self._failures = 0
            self._closed(why)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._delay()):
                    await self._hurry.wait()
            self._hurry.clear()

    def _closed(self, why: str) -> None:
        news = self.talk.connected or self.talk.problem != why
        self.talk.closed(why)
        if news:
            fields = {"pod": self._pod.name, "why": why}
            log.info("no control channel", extra={"fields": fields})
            self._changed()

    def _delay(self) -> float:
        longest = min(LAST_DELAY, FIRST_DELAY * (1 << min(self._failures, 10)))
        self._failures += 1
        return longest * (0.5 + 0.5 * self._rng())

    async def _once(self) -> str:
        """Dial and hold the channel until it ends; why it ended."""
        try:
            try:
                return await self._dialed(self._credentials.token)
            except WrongToken:
                if not self._former_token:
                    raise
                return await self._dialed(self._former_token)
        except Unconnected as exc:
            return str(exc)
        except Exception as exc:  # a task that must not die: the next dial is its restart
            log.exception("control channel failed", extra={"fields": {"pod": self._pod.name}})
            return f"internal error: {type(exc).__name__}"

    async def _dialed(self, token: str) -> str:
        credentials = self._credentials
        address = Address(self._pod.ip, self._port, credentials.server_name, credentials.ca)
        async with self._dialer.dial(address, token) as wire:
            self.talk.opened(self._loop.time())
            reading = self._loop.create_task(self._read(wire), name=f"read {self._pod.name}")
            writing = self._loop.create_task(self._write(wire), name=f"write {self._pod.name}")
            try:
                done, _ = await asyncio.wait(
                    (reading, writing), return_when=asyncio.FIRST_COMPLETED
                )
                return done.pop().result()
            finally:
                reading.cancel()
                writing.cancel()
                await asyncio.wait((reading, writing))

    async def _read(self, wire: Wire) -> str:
        try:
            while True:
                text, before = await wire.receive(), self.talk.report
                message = self.talk.receive(text, self._loop.time())
                if isinstance(message, Report):
                    self._reported(before, message)
                    if self.talk.asks:
                        self._wake.set()
                elif not isinstance(message, Pong):
                    self._wake.set()
                    self._changed()
        except (Lost, GaveUp) as exc:
            return str(exc)

    async def _write(self, wire: Wire) -> str:
        try:
            while True:
                self._wake.clear()
                for text in self.talk.outgoing(self._loop.time()):
                    await wire.send(text)
                try:
                    async with asyncio.timeout_at(self.talk.deadline()):
                        await self._wake.wait()
                except TimeoutError:
                    continue
        except (Lost, GaveUp) as exc:
            return str(exc)
