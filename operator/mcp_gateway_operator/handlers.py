"""kopf's part: it watches MCPGateways and tells the store. Nothing else is asked of it.

Only `on.event`: other kinds of handlers write a finalizer or annotations into every object,
and a resource with a finalizer cannot be deleted while no operator runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import kopf
import msgspec

from mcp_gateway.api import GROUP, VERSION
from mcp_gateway.api.crd import PLURAL
from mcp_gateway_operator.cluster import Access, Cluster, ClusterError, NotFound, Retry
from mcp_gateway_operator.cluster.backoff import backoff
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.reconcile import Store
from mcp_gateway_operator.render.gateway import MANAGER
from mcp_gateway_operator.render.kind import GATEWAY

log = logging.getLogger(__name__)

PAGE: Final = 250
IDLE: Final = 0.1
"""Seconds that kopf keeps a worker for an object that nothing happens to."""


async def defined(cluster: Cluster) -> None:
    """Return once the API server has MCPGateways.

    Asks what kopf asks, and before it does: kopf looks once, when it starts.
    """
    failures = 0
    while True:
        try:
            if await _discovered(cluster):
                break
            error: object = "the API server has no such kind"
        except ClusterError as exc:
            error = exc
        failures += 1
        if failures == 1:
            fields = {"definition": f"{PLURAL}.{GROUP}", "error": str(error)}
            log.warning("definition missing", extra={"fields": fields})
        await asyncio.sleep(backoff(failures, most=5.0))
    if failures:
        log.info("definition found", extra={"fields": {"definition": f"{PLURAL}.{GROUP}"}})


async def _discovered(cluster: Cluster) -> bool:
    groups = msgspec.json.decode(await cluster.request("get", "GET", "/apis"))["groups"]
    if GROUP not in (group["name"] for group in groups):
        return False
    try:
        answer = await cluster.request("get", "GET", f"/apis/{GROUP}/{VERSION}")
    except NotFound:
        return False
    return PLURAL in (each["name"] for each in msgspec.json.decode(answer)["resources"])


async def watch(
    store: Store,
    access: Access,
    namespaces: Sequence[str],
    *,
    listed: Callable[[], None],
    ready: asyncio.Event,
    stop: asyncio.Event,
) -> None:
    """Watch MCPGateways until `stop` is set. Their definition may go, and come again.

    Args:
        store: is told of each.
        access: the way to the API server.
        namespaces: where; empty for everywhere.
        listed: called when all were listed anew: of what is gone since before, nobody tells.
        ready: set once kopf has started.
        stop: ends it.
    """
    # A name for peering, which we do without. kopf would make one of the user's name, and in a
    # container the user need not have one. Its type for it is private.
    identity: Any = MANAGER
    await kopf.operator(
        identity=identity,
        registry=registry(store, access, listed),
        settings=settings(),
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        standalone=True,
        ready_flag=ready,
        stop_flag=stop,
    )


def registry(store: Store, access: Access, listed: Callable[[], None]) -> kopf.OperatorRegistry:
    """The handlers, in a registry of their own."""
    found = kopf.OperatorRegistry()
    retry = Retry(access, GATEWAY, listed)

    # Our own login: kopf's would import the official client wherever it is installed.
    @kopf.on.login(registry=found)
    async def login(**_: Any) -> kopf.AiohttpSession:  # async: a session belongs to its loop
        return kopf.AiohttpSession(
            server=access.server,
            default_namespace=access.namespace,
            aiohttp_session=retry.session(),
        )

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=found)
    async def changed(event: Any, **_: Any) -> None:  # async: else kopf runs it in a thread
        body = event["object"]
        if event["type"] == "DELETED":
            metadata = body["metadata"]
            store.drop(Key(metadata["namespace"], metadata["name"]), metadata["uid"])
        else:
            store.put(body)

    return found


def settings() -> kopf.OperatorSettings:
    """Watch in pages, keep nothing of what was seen, write nothing.

    kopf is not to look out for definitions and namespaces that come and go. It ends a watch
    whose definition went, and does not always begin another when it is there again: it asks
    what kinds there are when it is told of the definition, which may be before they are known.
    """
    found = kopf.OperatorSettings()
    found.scanning.disabled = True
    found.watching.chunk_size = PAGE
    found.watching.reconnect_backoff = 1.0
    found.queueing.idle_timeout = IDLE
    found.posting.enabled = False
    return found
