"""kopf's part: it watches MCPGateways and tells the store. Nothing else is asked of it.

Only `on.event`: other kinds of handlers write a finalizer or annotations into every object,
and a resource with a finalizer cannot be deleted while no operator runs.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Sequence
from typing import Any, Final

import kopf

from mcp_gateway.api import GROUP, VERSION
from mcp_gateway.api.crd import PLURAL
from mcp_gateway_operator.cluster import Access
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.reconcile import Store
from mcp_gateway_operator.render.gateway import MANAGER

log = logging.getLogger(__name__)

PAGE: Final = 250
IDLE: Final = 0.1
"""Seconds that kopf keeps a worker for an object that nothing happens to."""


async def watch(
    store: Store,
    access: Access,
    namespaces: Sequence[str],
    *,
    discover: bool,
    ready: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Watch MCPGateways until `stop` is set.

    Args:
        store: is told of each.
        access: the way to the API server.
        namespaces: where; empty for everywhere.
        discover: definitions and namespaces may be watched: the definition may come later,
            and again.
        ready: set once kopf has started.
        stop: ends it.
    """
    # A name for peering, which we do without. kopf would make one of the user's name, and in a
    # container the user need not have one. Its type for it is private.
    identity: Any = MANAGER
    await kopf.operator(
        identity=identity,
        registry=registry(store, access),
        settings=settings(discover=discover),
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        standalone=True,
        ready_flag=ready,
        stop_flag=stop,
    )


def registry(store: Store, access: Access) -> kopf.OperatorRegistry:
    """The handlers, in a registry of their own."""
    found = kopf.OperatorRegistry()

    # Our own login: kopf's would import the official client wherever it is installed.
    @kopf.on.login(registry=found)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return connection(access)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=found)
    def changed(event: Any, **_: Any) -> None:
        body = event["object"]
        if event["type"] == "DELETED":
            metadata = body["metadata"]
            store.drop(Key(metadata["namespace"], metadata["name"]), metadata["uid"])
        else:
            store.put(body)

    return found


def settings(*, discover: bool = True) -> kopf.OperatorSettings:
    """Watch in pages, keep nothing of what was seen, write nothing.

    Args:
        discover: see `watch`. Without the right to, kopf would try for a minute before it begins.
    """
    found = kopf.OperatorSettings()
    found.scanning.disabled = not discover
    found.watching.chunk_size = PAGE
    found.watching.reconnect_backoff = 1.0
    found.queueing.idle_timeout = IDLE
    found.posting.enabled = False
    return found


def connection(access: Access) -> kopf.ConnectionInfo:
    """The way to the API server in kopf's words. Asked for again when a token was refused."""
    return kopf.ConnectionInfo(
        server=access.server,
        ca_data=_encoded(access.ca),
        insecure=access.insecure,
        token=access.token() or None,
        certificate_data=_encoded(access.certificate),
        private_key_data=_encoded(access.key),
        default_namespace=access.namespace,
    )


def _encoded(pem: str) -> str | None:
    return base64.b64encode(pem.encode()).decode() if pem else None
