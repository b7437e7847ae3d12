"""The closed loop on real processes: an account is kept full, and never above what is stated."""

from __future__ import annotations

import pytest
from tests.integration.operator_closed_loop.fleet import Fleet, account, most, refused, settings
from tests.support.gateway_process import SimulatorProcess
from tests.support.kubernetes import Cluster, eventually
from tests.support.operator_process import OperatorProcess

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("operator")]


def test_four_pods_fill_a_stated_limit_and_never_pass_it(
    cluster: Cluster, namespace: str, provider: SimulatorProcess, operator: OperatorProcess
) -> None:
    provider.configure(settings())
    fleet = Fleet(cluster, namespace).create(account(provider, concurrency=12), replicas=4)
    with fleet.ask(240) as asked:
        pass
    assert dict(asked.words) == {"answered": 240}
    assert most(provider) == 12
    status = eventually(lambda: fleet.status() if fleet.status().get("ceiling") else {}, "status")
    assert status["ceiling"] == status["stated"] == 12
    assert "Traceback" not in operator.log.read_text()


def test_all_work_may_come_to_one_pod(
    cluster: Cluster, namespace: str, provider: SimulatorProcess
) -> None:
    provider.configure(settings())
    fleet = Fleet(cluster, namespace).create(account(provider, concurrency=12), replicas=4)
    with fleet.ask(200, fleet.pods()[:1]) as asked:
        pass
    assert dict(asked.words) == {"answered": 200}
    # What the others do not need is free for the one; each may keep a slot for its next request.
    assert 9 <= most(provider) <= 12


def test_a_limit_of_one_serves_eight_pods(
    cluster: Cluster, namespace: str, provider: SimulatorProcess
) -> None:
    provider.configure(settings())
    fleet = Fleet(cluster, namespace).create(account(provider, concurrency=1), replicas=8)
    with fleet.ask(40) as asked:
        pass
    assert dict(asked.words) == {"answered": 40}
    assert most(provider) == 1


def test_a_limit_that_nobody_states_is_found(
    cluster: Cluster, namespace: str, provider: SimulatorProcess
) -> None:
    provider.configure(settings(seconds=0.5, concurrency=14))
    fleet = Fleet(cluster, namespace).create(account(provider), replicas=4)
    with fleet.ask(500) as asked:
        eventually(lambda: most(provider) == 14, "the limit is reached")
    # They all came at once, so the budget for second tries is soon spent.
    assert asked.words["answered"] + asked.words["upstream_refused"] == 500
    assert refused(provider) < 50


def test_pods_that_come_and_go_never_pass_the_limit(
    cluster: Cluster, namespace: str, provider: SimulatorProcess
) -> None:
    provider.configure(settings(seconds=0.1))
    fleet = Fleet(cluster, namespace).create(account(provider, concurrency=12), replicas=4)
    with fleet.ask(300) as first:
        first.wait(20)
        fleet.change('{"replicas": 8}')
        eventually(lambda: len(fleet.pods()) == 8, "eight pods")
        with fleet.ask(200) as second:
            second.wait(10)
            fleet.change('{"replicas": 3}')
            eventually(lambda: len(fleet.pods()) == 3, "three pods")
            with fleet.ask(60) as third:
                pass
    assert first.words + second.words + third.words == {"answered": 560}
    assert most(provider) <= 12


def test_two_gateways_on_one_key_share_its_limit(
    cluster: Cluster, namespace: str, provider: SimulatorProcess
) -> None:
    provider.configure(settings())
    limited = account(provider, concurrency=12)
    blue = Fleet(cluster, namespace, "blue").create(limited, replicas=2)
    green = Fleet(cluster, namespace, "green").create(limited, replicas=2)
    with blue.ask(120) as first, green.ask(120) as second:
        pass
    assert first.words + second.words == {"answered": 240}
    assert most(provider) == 12


def test_from_no_pods_at_all_a_fleet_begins_anew(
    cluster: Cluster, namespace: str, provider: SimulatorProcess
) -> None:
    provider.configure(settings())
    fleet = Fleet(cluster, namespace).create(account(provider, concurrency=12), replicas=2)
    with fleet.ask(40):
        pass
    fleet.change('{"replicas": 0}')
    eventually(lambda: not cluster.list("pods", namespace), "no pods")
    fleet.change('{"replicas": 3}')
    eventually(lambda: len(fleet.pods()) == 3, "three pods")
    with fleet.ask(120) as asked:
        pass
    assert dict(asked.words) == {"answered": 120}
    assert most(provider) == 12
