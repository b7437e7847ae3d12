"""What kopf tells the store, and where it does."""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import kopf

from mcp_gateway_operator.cluster import Access
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.handlers import registry
from mcp_gateway_operator.reconcile import Store

KEY = Key("n", "llm")


def handler(found: kopf.OperatorRegistry) -> Callable[..., Awaitable[None]]:
    (only,) = found._watching.get_all_handlers()
    told: Any = only.fn
    return told  # type: ignore[no-any-return]


def event(type_: str | None, uid: str = "u", version: int = 1) -> dict[str, Any]:
    metadata = {"name": "llm", "namespace": "n", "uid": uid, "resourceVersion": str(version)}
    body = {"apiVersion": "gateway.exai.dev/v1alpha1", "kind": "MCPGateway", "metadata": metadata}
    return {"type": type_, "object": body}


async def test_the_store_is_told_on_the_loop_and_not_in_a_thread_of_kopfs() -> None:
    told: list[Key] = []
    store = Store(told.append)
    access = Access("https://cluster", ssl.create_default_context())
    changed = handler(registry(store, access, lambda: None))
    assert inspect.iscoroutinefunction(changed), "kopf runs what is none in a thread"
    await changed(event=event(None))
    assert KEY in store.resources
    await changed(event=event("DELETED", uid="another"))
    assert KEY in store.resources
    await changed(event=event("DELETED"))
    assert (store.resources, told) == ({}, [KEY, KEY])
