"""The workers that take keys from the queue, and what they do about failures."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from mcp_gateway_operator.cluster import ClusterError, Conflict, NotLeading, Unreachable
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.reconcile.queue import KeyQueue
from mcp_gateway_operator.reconcile.reconciler import Reconciler

log = logging.getLogger(__name__)


class Loop:
    """Looks at one gateway after another. `run` it in as many tasks as looks may overlap.

    Args:
        queue: of keys.
        reconciler: looks.
        metrics: where looks are counted.
        leading: whether this replica leads.
    """

    def __init__(
        self,
        queue: KeyQueue,
        reconciler: Reconciler,
        metrics: Metrics,
        leading: Callable[[], bool],
    ) -> None:
        self._queue = queue
        self._reconciler = reconciler
        self._metrics = metrics
        self._leading = leading

    async def run(self) -> None:
        """Work for ever. A look that fails, however it fails, is one object's misfortune."""
        while True:
            key = await self._queue.take()
            if not self._leading():
                # The one who leads looks at it; whoever begins to lead looks at everything.
                self._queue.done(key)
                continue
            started = time.perf_counter()
            outcome = await self._look(key)
            self._metrics.reconcile_seconds.labels(outcome).observe(time.perf_counter() - started)

    async def _look(self, key: Key) -> str:
        try:
            again = await self._reconciler.reconcile(key)
        except asyncio.CancelledError:
            self._queue.done(key)
            raise
        except NotLeading:
            self._queue.done(key)
            return "retried"
        except Conflict as exc:
            log.info("changed in between", extra={"fields": _fields(key, exc)})
            self._queue.done(key, failed=True)
            return "retried"
        except ClusterError as exc:
            log.warning("reconcile failed", extra={"fields": _fields(key, exc)})
            after = exc.retry_after if isinstance(exc, Unreachable) else 0.0
            self._queue.done(key, failed=True, at_least=after)
            return "retried"
        except Exception:  # the outermost place for one object: the others go on
            log.exception("reconcile broke", extra={"fields": {"gateway": str(key)}})
            self._queue.done(key, failed=True)
            return "failed"
        self._queue.done(key)
        if again is not None:
            self._queue.add_after(key, again)
        return "done"


def _fields(key: Key, exc: Exception) -> dict[str, str]:
    return {"gateway": str(key), "error": str(exc)}
