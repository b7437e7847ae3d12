"""The pool of connections to one provider account.

One exchange at a time on each connection, so connections lent = requests in flight = what the
provider counts. Rules that must hold after every step:

1. in flight + idle + connecting <= capacity. A lease counts from its assignment, and a
   connection being opened counts from the decision to open it.
2. No lease is assigned above a limit: the account's, or the lane's.
3. While a connection is idle nobody waits who could have it.
4. Every waiter is answered once; a lease given to one that was cancelled in the same moment
   comes back.
5. Connections are opened by demand: never more at a time than there are waiters who may be in
   flight, and any of them takes whichever connection is ready first.

Decisions are plain functions: no `await` stands between a look at the state and its change.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

from mcp_gateway.concurrency.wait_queue import Waiter, WaitQueue
from mcp_gateway.errors import PoolClosed
from mcp_gateway.upstream.connection import Connection
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.growth import Growth
from mcp_gateway.upstream.lane import Lane, Lanes
from mcp_gateway.upstream.lease import Lease
from mcp_gateway.upstream.opener import ConnectError, Connector, Opener, copy_error
from mcp_gateway.upstream.patience import Patience
from mcp_gateway.upstream.picture import picture
from mcp_gateway.upstream.settings import PoolSettings
from mcp_gateway.upstream.stats import CloseReason, Counters, PoolState, PoolStats
from mcp_gateway.upstream.stock import Stock
from mcp_gateway.upstream.upkeep import Upkeep

__all__ = ["CloseReason", "Connector", "Lease", "Pool", "PoolSettings", "PoolState", "PoolStats"]

TICK = 1.0
"""Seconds between two rounds of upkeep: closing what is idle, keeping warm, probing limits."""

NOTICED = 0.25
"""Seconds until a provider has surely seen that a request was broken off. Its next one comes on
another connection and may overtake that: known limits are kept also while clients leave."""

LIFETIME_JITTER = 0.1
"""The part of `max_lifetime` that is up to chance, so that connections do not expire together."""


class Pool:
    """The pool.

    Args:
        name: the provider's, as in errors and stats.
        endpoints: where connections lead; at least one.
        connector: opens them.
        settings: how it behaves.
        share: the account's known limit; None means that it has to be found out.
        by_lane: the provider limits every model by itself; `lane` names the model.
        lane_share: the known limit of models that are not listed.
        lane_shares: the known limits of models.
        lanes: the limits of the pool that this one replaces: both count under them.
        rng: a source of numbers in [0, 1), for jitter.
    """

    def __init__(
        self,
        name: str,
        endpoints: Sequence[Endpoint],
        connector: Connector,
        settings: PoolSettings,
        *,
        share: int | None = None,
        by_lane: bool = False,
        lane_share: int | None = None,
        lane_shares: Mapping[str, int] | None = None,
        lanes: Lanes | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._settings = settings
        self._rng = rng
        self._queue: WaitQueue[Lease] = WaitQueue(settings.max_waiting)
        self._lanes = lanes or Lanes(
            settings.capacity,
            share,
            by_lane=by_lane,
            lane_share=lane_share,
            lane_shares=lane_shares,
        )
        self._root = self._lanes.root
        self._stock = Stock()
        self._opener = Opener(
            name, endpoints, connector, opened=self._opened, failed=self._failed, rng=rng
        )
        self._growth = Growth(self._lanes, self._queue, self._stock, self._opener)
        self._upkeep = Upkeep(self._lanes, self._queue, self._stock, self._opener)
        self._state = PoolState.NEW
        self._counters = Counters()
        self._patience = Patience(name, self._queue, self._counters)
        self._loop: asyncio.AbstractEventLoop
        self._now: Callable[[], float]
        self._ticking: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return (
            f"<Pool {self.name} {self._state.value} connecting={self._opener.connecting} "
            f"idle={len(self._stock.idle)} in_flight={self.in_flight} waiting={self.waiting}>"
        )

    @property
    def state(self) -> PoolState:
        """Where it stands."""
        return self._state

    @property
    def in_flight(self) -> int:
        """Leases now."""
        return self._root.in_flight

    @property
    def waiting(self) -> int:
        """Waiters now."""
        return self._queue.size

    @property
    def lanes(self) -> Lanes:
        """The limits, and how each is used. They are changed by this pool's methods alone."""
        return self._lanes

    def waiting_in(self, lane: str) -> int:
        """Waiters now under one model's own limit."""
        return self._queue.waiting(lane)

    # Its life.

    def start(self) -> None:
        """Open it, and warm up to `min_connections` in the background. Idempotent.

        A pool that is asked for a connection before starts by itself.
        """
        if self._state is PoolState.NEW:
            self._loop = asyncio.get_running_loop()
            self._now = self._loop.time
            self._state = PoolState.OPEN
            self._tick()

    async def drain(self, grace: float) -> None:
        """Take nobody new, let waiters and leases finish within `grace` seconds, and close."""
        if self._state is PoolState.OPEN:
            self._state = PoolState.DRAINING
            self._stock.shrink(0, CloseReason.DRAINED)
            if self._stock.lent or self.waiting:
                self._emptied = self._loop.create_future()
                try:
                    await asyncio.wait([self._emptied], timeout=grace)
                finally:  # also where whoever waits is cancelled: nobody else has this pool
                    await self.aclose()
        await self.aclose()

    async def aclose(self) -> None:
        """Close at once: waiters get PoolClosed, exchanges under way are aborted. Idempotent."""
        self._state = PoolState.CLOSED
        if self._ticking is not None:
            self._ticking.cancel()
        self._queue.fail_all(self._closed_error)
        await self._opener.aclose()
        await self._stock.aclose()

    # Lending.

    def acquire_nowait(self, lane: str = "") -> Lease | None:
        """Lend an idle connection; None where there is none, or no room in a limit.

        Raises:
            PoolClosed: the pool is draining or closed.
        """
        if self._state is not PoolState.OPEN:
            self._start_or_refuse()
        root = self._root
        if root.in_flight >= root.limit.limit:
            return None
        place = self._lanes.find(lane, self._queue.waiting) if lane else root
        if place is not root and place.in_flight >= place.limit.limit:
            return None
        # By rule 3 nobody waits who could have this one, so nobody is overtaken.
        connection = self._stock.take(self._now(), self._settings.validate_after)
        return None if connection is None else self._lend(connection, place, 0.0)

    async def acquire(
        self,
        *,
        client: str = "",
        lane: str = "",
        deadline: float | None = None,
        patience: float | None = None,
    ) -> Lease:
        """Lend a connection, waiting for one where need be. Does not suspend where one is idle.

        Args:
            client: whose turn it uses in the queue.
            lane: the model, where models have limits of their own.
            deadline: `loop.time()` when the request's own time is over.
            patience: seconds to wait in place of `acquire_timeout`.

        Raises:
            PoolClosed: the pool is draining or closed, or was closed meanwhile.
            PoolSaturated: `max_waiting` wait already.
            PoolTimeout: `acquire_timeout` passed.
            Misdirected: turned away while it waited.
            DeadlineExceeded: `deadline` passed.
            ConnectFailed, UpstreamTimeout: no connection is open and none can be opened.
        """
        lease = self.acquire_nowait(lane)
        if lease is not None:
            return lease
        waiter = self._join(client, lane)
        seconds = self._settings.acquire_timeout if patience is None else patience
        timer = self._patience.time_limit(waiter, self._loop, seconds, deadline)
        try:
            self._serve()
            return await self._patience.wait(waiter, timer)
        finally:
            self._check_emptied()

    def connect(self) -> Awaitable[Connection]:
        """Open a connection that is not the pool's, and that no limit counts."""
        return self._opener.connect(asyncio.get_running_loop().time())

    # Limits and settings.

    def set_share(
        self, share: int | None, lane: str = "", *, governed: bool = False, start: int | None = None
    ) -> None:
        """Set how many may be in flight, for the account or for one lane.

        Args:
            share: None means unknown: it is found out by probing.
            lane: the model; empty for the account.
            governed: an operator speaks: after a refusal the limit stays cut until it does again.
            start: where to begin where the share is unknown; by default where the limit is.
        """
        self._lanes.set_share(lane, share, governed=governed, start=start)
        self._serve()

    def keep_warm(self, connections: int) -> None:
        """Let the idle timeout close only what is above so many connections."""
        self._upkeep.warm = connections

    def holds_nothing(self, lane: str = "") -> bool:
        """The share of the account, or of the model that has one of its own, is 0."""
        return self._lanes.share(lane) == 0

    def turn_away(self, lane: str = "") -> None:
        """Fail with Misdirected who waits under the account's limit, or under a model's own."""
        self._patience.turn_away(self._lanes.place(lane))

    def resize(self, settings: PoolSettings) -> None:
        """Use other settings from now on; what is too much is closed as it becomes idle."""
        self._settings = settings
        self._queue.max_waiting = settings.max_waiting
        self._lanes.set_capacity(settings.capacity)
        self._stock.shrink(settings.kept, CloseReason.SHRUNK)
        self._serve()

    def stats(self) -> PoolStats:
        """Return a picture of this moment."""
        return picture(
            name=self.name,
            state=self._state,
            settings=self._settings,
            lanes=self._lanes,
            queue=self._queue,
            stock=self._stock,
            opener=self._opener,
            counters=self._counters,
            warm=self._upkeep.warm,
            now=0.0 if self._state is PoolState.NEW else self._now(),
        )

    # What a lease asks.

    def take_back(self, lease: Lease) -> None:
        """End a lease: its connection goes to who waits, becomes idle, or is closed."""
        waiting = self._queue.size
        opened = len(self._stock.open)
        if self._state is PoolState.OPEN:
            settings = self._settings
            room = opened <= (settings.capacity if waiting else settings.kept)
        else:
            room = waiting > 0
        self._stock.put_back(lease.connection, self._now(), room=room)
        if lease.connection.broken_off and lease.lane.limit.share is not None:
            self._loop.call_later(NOTICED, self._ended, lease)
        else:
            self._ended(lease)

    def _ended(self, lease: Lease) -> None:
        """The provider no longer counts a lease: its slot goes to who waits."""
        self._lanes.ended(lease.lane, refused=lease.was_refused)
        if self._queue.size:
            self._serve()
        elif self._emptied is not None:
            self._check_emptied()

    def note_refusal(self, lease: Lease) -> None:
        """Cut the limit that a refused lease counts against."""
        self._counters.refused += 1
        self._lanes.refused(lease.lane)

    # Decisions.

    def _lend(self, connection: Connection, lane: Lane, waited: float) -> Lease:
        self._lanes.came(lane)
        self._lanes.lent(lane)
        self._counters.acquired += 1
        return Lease(self, connection, lane, waited)

    def _join(self, client: str, lane: str) -> Waiter[Lease]:
        """Put a waiter in the queue, under its lane's name."""
        place = self._lanes.find(lane, self._queue.waiting)
        # Who waits only for a connection to be opened does not count against `max_waiting`.
        spare = self._opener.connecting
        if self._queue.size - spare < self._growth.room(self._settings.capacity, place):
            spare += 1
        waiter = self._patience.join(client, place.name, self._now(), spare=spare)
        self._lanes.came(place)
        return waiter

    def _serve(self) -> None:
        """Give idle connections to waiters, and open more for those who are left."""
        root, queue, stock = self._root, self._queue, self._stock
        if not queue.size:
            return
        now = self._now()
        while queue.size and stock.idle and root.has_room:
            connection = stock.take(now, self._settings.validate_after)
            if connection is None:
                break
            if not self._assign(connection, now):
                stock.idle[connection] = None
                break
        for _ in range(self._growth.missing(self._settings.capacity, now)):
            self._opener.open(self._loop)

    def _assign(self, connection: Connection, now: float) -> bool:
        """Lend `connection` to the waiter whose turn it is; False where nobody takes it."""
        while True:
            waiter = self._queue.pop(self._lanes.is_open)
            if waiter is None:
                return False
            lane = self._lanes.find(waiter.lane, self._queue.waiting)
            waited = now - waiter.since
            if waiter.offer(Lease(self, connection, lane, waited)):
                self._lanes.lent(lane)
                self._lanes.waited(lane, waited)
                self._counters.acquired += 1
                return True

    def _opened(self, connection: Connection) -> None:
        """A connection came about: for who waits, or to be kept."""
        settings, now, stock = self._settings, self._now(), self._stock
        connection.idle_since = now
        jitter = 1 - LIFETIME_JITTER * self._rng()
        connection.expires_at = now + settings.max_lifetime * jitter
        stock.add(connection)
        self._serve()
        if connection in stock.idle:
            keep = settings.kept if self._state is PoolState.OPEN else 0
            stock.shrink(keep, CloseReason.OVERFLOW)

    def _failed(self, error: ConnectError) -> None:
        """A connection did not come about. Where there is no other hope, all who wait hear it."""
        opener = self._opener
        hope = self._stock.open or opener.connecting or opener.health.available(self._now())
        if hope:
            self._serve()
        else:
            self._queue.fail_all(lambda: copy_error(error, self.name))

    # Time.

    def _tick(self) -> None:
        self._ticking = self._loop.call_later(TICK, self._tick)
        now, settings = self._now(), self._settings
        self._upkeep.turn(now, settings)
        self._serve()
        if self._state is PoolState.OPEN:
            for _ in range(self._upkeep.missing(now, settings)):
                self._opener.open(self._loop)

    # Ends.

    def _check_emptied(self) -> None:
        emptied = self._emptied
        if emptied is not None and not emptied.done() and not (self._stock.lent or self.waiting):
            emptied.set_result(None)

    def _start_or_refuse(self) -> None:
        if self._state is not PoolState.NEW:
            raise self._closed_error()
        self.start()

    def _closed_error(self) -> PoolClosed:
        return PoolClosed(f"the connections to {self.name} are closed", provider=self.name)
