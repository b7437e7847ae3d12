"""The number of a configuration, through changes, canaries and restarts."""

from __future__ import annotations

from typing import Any

from tests.unit.mcp_gateway_operator.scripted_cluster import ScriptedCluster

from mcp_gateway_operator import render
from mcp_gateway_operator.facts import FleetView
from mcp_gateway_operator.reconcile.configuration import Config, Configuration
from mcp_gateway_operator.reconcile.store import Child, ChildId
from mcp_gateway_operator.render.config_map import FILE, config_map
from mcp_gateway_operator.render.kind import CONFIG_MAP

CANARY = {"rollout": {"strategy": "Canary"}}
DEBUG = {"logging": {"level": "debug"}}


def gateway(**spec: Any) -> render.Gateway:
    provider = {"name": "kimi", "type": "simulator", "simulator": {"wire": "kimi"}}
    return render.Gateway.read(
        {
            "apiVersion": "gateway.exai.dev/v1alpha1",
            "kind": "MCPGateway",
            "metadata": {"name": "llm", "namespace": "ai", "uid": "u"},
            "spec": {"providers": [provider], **spec},
        }
    )


def holding(what: render.Gateway, number: int) -> dict[ChildId, Child]:
    """The children of a gateway whose ConfigMap holds a document."""
    annotations = config_map(what, number)["metadata"]["annotations"]
    child = Child(
        CONFIG_MAP, "llm-config", "u", "1", 1, "u", False, "d", annotations, None, b"", b""
    )
    return {("ConfigMap", "llm-config"): child}


async def of(
    configuration: Configuration,
    what: render.Gateway,
    children: dict[ChildId, Child],
    *,
    status: int = 0,
    view: FleetView | None = None,
) -> Config:
    said = {"configGeneration": status} if status else {}
    return await configuration.of(what, said, children, view or FleetView())


async def test_the_first_is_one_and_is_written_at_once() -> None:
    config = await of(Configuration(ScriptedCluster()), gateway(), {})
    assert (config.wanted.generation, config.written, config.write) == (1, 1, True)
    assert config.promoted == config.wanted


async def test_the_same_document_keeps_its_number_through_restarts() -> None:
    for _ in range(2):
        config = await of(
            Configuration(ScriptedCluster()), gateway(replicas=3), holding(gateway(), 4), status=4
        )
        assert config.wanted.generation == 4


async def test_a_change_counts_up_and_asking_again_does_not() -> None:
    configuration = Configuration(ScriptedCluster({"data": config_map(gateway(), 4)["data"]}))
    for _ in range(2):
        config = await of(configuration, gateway(**DEBUG), holding(gateway(), 4), status=4)
        assert (config.wanted.generation, config.written, config.write) == (5, 4, False)
    view = FleetView(promoted=5)
    config = await of(configuration, gateway(**DEBUG), holding(gateway(), 4), status=4, view=view)
    assert (config.written, config.write) == (5, True)


async def test_a_document_that_comes_back_after_another_was_tried_is_a_new_one() -> None:
    configuration = Configuration(ScriptedCluster({"data": config_map(gateway(), 4)["data"]}))
    config = await of(configuration, gateway(), holding(gateway(), 4), status=5)
    assert config.wanted.generation == 6


async def test_a_canary_is_written_when_it_is_promoted() -> None:
    held = gateway(**CANARY)
    data = config_map(held, 4)["data"]
    configuration = Configuration(ScriptedCluster({"data": data}))
    new, children = gateway(**CANARY, **DEBUG), holding(held, 4)
    for _ in range(2):
        config = await of(configuration, new, children, status=4)
        assert (config.wanted.generation, config.written, config.write) == (5, 4, False)
        assert config.promoted is not None
        assert config.promoted.generation == 4
        assert config.promoted.body == render.document(held)
    config = await of(configuration, new, children, status=5, view=FleetView(promoted=5))
    assert (config.written, config.write) == (5, True)
    assert config.promoted == config.wanted


async def test_a_spoiled_config_map_is_written_anew() -> None:
    children = holding(gateway(), 4)
    child = children["ConfigMap", "llm-config"]
    child.annotations = {"gateway.exai.dev/config-generation": "x"}
    config = await of(Configuration(ScriptedCluster()), gateway(), children, status=4)
    assert (config.wanted.generation, config.write) == (5, True)
    assert FILE in config_map(gateway(), 5)["data"]
