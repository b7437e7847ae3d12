"""Mode Auto as a person sees it: status, condition, Events and metrics, over two leaders."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.operator_tuning_shown.account import (
    FAST,
    addresses,
    install,
    limit,
    limited,
    shares,
    told,
    tuned,
    used,
    wait_tuned,
)
from tests.integration.operator_tuning_shown.demand import Demand
from tests.support.gateway_process import simulator
from tests.support.kubernetes import Cluster, eventually
from tests.support.operator_process import OperatorProcess, running_operator

pytestmark = pytest.mark.integration

LEARNED = 180.0


def test_a_stated_limit_is_divided_and_a_person_reads_how(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    # The provider itself refuses nothing: what it counts is what pods hold themselves to.
    with (
        simulator(limited(None)) as provider,
        running_operator(cluster, namespace, tmp_path, *FAST) as operator,
    ):
        install(cluster, namespace, tuned(provider, stated=20))
        wait_tuned(cluster, namespace, "Dividing")
        with Demand(lambda: addresses(cluster, namespace), 40) as demand:
            eventually(lambda: used(provider)["in_flight"] >= 18, "the account is full")
            eventually(lambda: limit(cluster, namespace)["inFlight"] >= 15, "it is seen")
            message = wait_tuned(cluster, namespace, "Dividing")["message"]
            assert message.startswith("kimi: ceiling 20 (as stated)")
            eventually(lambda: sum(shares(cluster, namespace).values()) == 20, "all is granted")
            assert len(shares(cluster, namespace)) == 4
            assert operator.metric("mcp_gateway_operator_tuning_ceiling") == 20.0
            assert operator.metric("mcp_gateway_operator_config_applied_pods") == 4.0
            assert operator.metric("mcp_gateway_operator_reports_total") > 4.0
            pod = next(iter(shares(cluster, namespace)))
            cluster.delete("pod", pod, namespace, wait=False)
            eventually(lambda: pod not in shares(cluster, namespace), "its share is free")
            eventually(lambda: used(provider)["in_flight"] >= 18, "it is full again")
            # Looked at before the clients leave: the provider may see the end of a request that
            # was cancelled only after the begin of the next one.
            assert used(provider)["max_in_flight"] <= 20
        assert demand.outcomes[200] > 100
        status = cluster.get("mcpgateway", "llm", namespace)["status"]
        assert status["tuning"].startswith("Auto/")
        eventually(lambda: limit(cluster, namespace)["inFlight"] == 0, "it is over")
        before = operator.quiet(8.0)
        assert operator.quiet(8.0) == before, "nothing is written at rest"


def test_a_limit_that_nobody_states_is_learned_told_and_outlives_the_leader(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    def learned() -> bool:
        ceiling: int = limit(cluster, namespace).get("ceiling", 0)
        return 17 <= ceiling <= 23

    with (
        simulator(limited(20)) as provider,
        OperatorProcess(cluster, namespace, tmp_path, *FAST) as first,
    ):
        first.wait_leading()
        install(cluster, namespace, tuned(provider))
        with Demand(lambda: addresses(cluster, namespace), 60):
            eventually(learned, "the ceiling is learned", LEARNED)
            found = limit(cluster, namespace)
            assert found["reason"]
            assert found["changes"]
            eventually(lambda: told(cluster, namespace), "an Event tells of it")
            assert all(": ceiling " in note for note in told(cluster, namespace))
            first.kill()
            known = limit(cluster, namespace)
            with running_operator(cluster, namespace, tmp_path, *FAST) as second:
                eventually(
                    lambda: second.metric("mcp_gateway_operator_tuning_granted") > 0,
                    "the new leader grants",
                )
                assert second.metric("mcp_gateway_operator_tuning_ceiling") >= known["ceiling"] - 3
                eventually(lambda: used(provider)["in_flight"] >= 15, "it is full again")
                later = limit(cluster, namespace)["changes"]
                assert known["changes"][-1] in later
                assert wait_tuned(cluster, namespace, "Dividing")["status"] == "True"
        assert used(provider)["max_in_flight"] <= 20


def test_a_frozen_ceiling_stays_and_is_divided_all_the_same(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    with (
        simulator(limited(20)) as provider,
        running_operator(cluster, namespace, tmp_path, *FAST) as operator,
    ):

        def ceiling() -> float:
            return operator.metric("mcp_gateway_operator_tuning_ceiling")

        install(cluster, namespace, tuned(provider, replicas=2))
        wait_tuned(cluster, namespace, "Dividing")
        annotate = ("annotate", "mcpgateway", "llm", "--namespace", namespace)
        cluster.kubectl(*annotate, "gateway.exai.dev/freeze-tuning=true")
        wait_tuned(cluster, namespace, "Frozen")
        with Demand(lambda: addresses(cluster, namespace), 40):
            eventually(
                lambda: operator.metric("mcp_gateway_operator_tuning_frozen") == 1.0,
                "it is frozen",
            )
            frozen = ceiling()
            eventually(lambda: used(provider)["in_flight"] >= frozen, "it is full")
            eventually(lambda: limit(cluster, namespace)["waiting"] > 0, "requests wait")
            assert ceiling() == frozen
            assert cluster.get("mcpgateway", "llm", namespace)["status"]["tuning"] == "Auto/Frozen"
            cluster.kubectl(*annotate, "gateway.exai.dev/freeze-tuning-")
            eventually(lambda: ceiling() > frozen, "it grows again")
        wait_tuned(cluster, namespace, "Dividing")
