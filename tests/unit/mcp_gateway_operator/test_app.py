"""The operator put together: what it does about races and slow ends."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from tests.unit.mcp_gateway_operator.scripted_cluster import ScriptedCluster

from mcp_gateway_operator.app import Operator, Settings
from mcp_gateway_operator.cluster import Access, Recorder, Subject
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.fleet import PodFleet
from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.tuning import Pace

KEY = Key("n", "llm")


def operator(cluster: ScriptedCluster) -> Operator:
    access = Access("https://cluster", ssl.create_default_context())
    metrics = Metrics()
    fleet = PodFleet(metrics=metrics, pace=Pace.of(1.0))
    made = Operator(Settings((), "system", "image"), access, fleet, metrics)
    made._cluster = cluster
    made._recorder = Recorder(cluster, metrics, "me")
    return made


def resource(uid: str, version: int) -> dict[str, Any]:
    metadata = {"name": "llm", "namespace": "n", "uid": uid, "resourceVersion": str(version)}
    return {"apiVersion": "gateway.exai.dev/v1alpha1", "kind": "MCPGateway", "metadata": metadata}


async def test_a_gateway_that_came_while_those_before_were_listed_stays() -> None:
    cluster = ScriptedCluster({"metadata": {}, "items": []}, {"metadata": {}, "items": []})
    cluster.delays = {0: 5.0}
    made = operator(cluster)
    made._store.put(resource("former", 1))
    looking = asyncio.create_task(made._drop_vanished())
    await asyncio.sleep(1.0)
    made._store.put(resource("latter", 2))
    await looking
    assert made._store.resources[KEY].uid == "latter"
    await made._drop_vanished()
    assert KEY not in made._store.resources


async def test_events_that_nobody_takes_do_not_keep_the_lease() -> None:
    cluster = ScriptedCluster(*[{}] * 9)
    cluster.delays = dict.fromkeys(range(9), 2.0)
    made = operator(cluster)
    for number in range(9):
        subject = Subject("gateway.exai.dev/v1alpha1", "MCPGateway", "n", "llm", str(number))
        made._recorder.record(subject, "Normal", "Created", action="Create", note="made")
    before = asyncio.get_running_loop().time()
    await made._shut_down()
    assert asyncio.get_running_loop().time() - before <= 3.0
    assert len(cluster.sent) == 2
