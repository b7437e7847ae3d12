"""From what is seen to what is done: the queue of keys, the store, the look at one gateway."""

from mcp_gateway_operator.reconcile.loop import Loop
from mcp_gateway_operator.reconcile.queue import KeyQueue
from mcp_gateway_operator.reconcile.reconciler import Reconciler
from mcp_gateway_operator.reconcile.store import Store

__all__ = ["KeyQueue", "Loop", "Reconciler", "Store"]
