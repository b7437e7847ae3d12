"""Faults while an account is tuned: what is stated holds, and everybody is answered in the end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.operator_closed_loop.fleet import (
    KEY,
    TICK,
    Asked,
    Fleet,
    account,
    most,
    refused,
    settings,
)
from tests.support.gateway_process import SimulatorProcess, simulator
from tests.support.kubernetes import Cluster, Object, eventually
from tests.support.operator_process import OperatorProcess

pytestmark = pytest.mark.integration

CAP = 12


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process for the length of the block, as a partition or a starved node would."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def secret(key: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "account"},
        "stringData": {"api-key": key},
    }


def test_an_old_leader_that_wakes_up_beside_the_new_one(
    cluster: Cluster, namespace: str, provider: SimulatorProcess, tmp_path: Path
) -> None:
    provider.configure(settings())
    with OperatorProcess(cluster, namespace, tmp_path, TICK) as old:
        old.wait_leading()
        fleet = Fleet(cluster, namespace).create(account(provider, concurrency=CAP), replicas=4)
        with OperatorProcess(cluster, namespace, tmp_path, TICK) as new:
            new.wait_synced()
            with fleet.ask(100, fleet.pods()[:1]) as first, stopped(old.pid):
                epoch = new.wait_leading()
                with fleet.ask(100, fleet.pods()[1:]) as second:
                    second.wait(50)
            assert epoch > old.wait_leading()
            eventually(lambda: old.lines("no longer leading"), "the old one has noticed")
            with fleet.ask(200) as third:
                pass
    assert first.words + second.words + third.words == {"answered": 400}
    assert most(provider) == CAP


def test_operators_that_are_killed(
    cluster: Cluster, namespace: str, provider: SimulatorProcess, tmp_path: Path
) -> None:
    provider.configure(settings())
    with OperatorProcess(cluster, namespace, tmp_path, TICK) as first:
        first.wait_leading()
        fleet = Fleet(cluster, namespace).create(account(provider, concurrency=CAP), replicas=4)
        with fleet.ask(80) as asked:
            eventually(lambda: len(fleet.status().get("shares", [])) == 4, "all hold a grant")
            asked.wait(20)
            first.kill()
    assert dict(asked.words) == {"answered": 80}
    # Nobody leads: what was granted stays, and a pod that comes has nothing of it.
    with fleet.ask(80) as asked:
        pass
    assert dict(asked.words) == {"answered": 80}
    with OperatorProcess(cluster, namespace, tmp_path, TICK) as second:
        second.wait_leading()
        with fleet.ask(200, fleet.pods()[:1]) as asked:
            pass
        assert dict(asked.words) == {"answered": 200}
        assert most(provider) == CAP


def test_a_pod_that_hears_and_says_nothing_keeps_what_it_holds(
    cluster: Cluster, namespace: str, provider: SimulatorProcess, operator: OperatorProcess
) -> None:
    provider.configure(settings())
    fleet = Fleet(cluster, namespace).create(account(provider, concurrency=CAP), replicas=4)
    silent, *others = fleet.pods()
    pid = fleet.pid(silent)
    with fleet.ask(160) as first:
        first.wait(20)
        with stopped(pid), fleet.ask(60, others) as second:
            second.wait(60)
    assert first.words + second.words == {"answered": 220}
    assert most(provider) == CAP
    assert "Traceback" not in operator.log.read_text()


def test_pods_that_are_killed_in_the_middle(
    cluster: Cluster, namespace: str, provider: SimulatorProcess, operator: OperatorProcess
) -> None:
    provider.configure(settings())
    fleet = Fleet(cluster, namespace).create(account(provider, concurrency=CAP), replicas=4)
    victim, *others = fleet.pods()
    pid = fleet.pid(victim)
    # All that the account has would need seconds for the victim's alone.
    with fleet.ask(300, [victim]) as lost, fleet.ask(200, others) as asked:
        lost.wait(1)
        asked.wait(20)
        os.kill(pid, signal.SIGKILL)
    assert dict(asked.words) == {"answered": 200}
    assert 0 < lost.words["answered"] < 300
    eventually(lambda: len(fleet.pods()) == 4, "it is there again")
    with fleet.ask(120) as asked:
        pass
    assert dict(asked.words) == {"answered": 120}
    assert most(provider) == CAP
    assert "Traceback" not in operator.log.read_text()


def test_a_provider_that_refuses_everything_and_then_nothing(
    cluster: Cluster, namespace: str, provider: SimulatorProcess, operator: OperatorProcess
) -> None:
    fleet = Fleet(cluster, namespace).create(account(provider), replicas=4)
    pods = fleet.pods()
    # Somebody else uses the key, and has all of it.
    provider.configure(settings(seconds=8.0, concurrency=1))
    with Asked([provider.origin], KEY) as somebody:
        eventually(lambda: most(provider) == 1, "it is all used")
        provider.configure(settings(seconds=0.1, concurrency=1))
        with fleet.ask(24, pods) as asked:
            eventually(lambda: refused(provider) > 0, "everything is refused")
    assert somebody.words + asked.words == {"answered": 25}
    provider.configure(settings())
    with fleet.ask(400) as asked:
        pass
    assert dict(asked.words) == {"answered": 400}
    assert "Traceback" not in operator.log.read_text()


def test_a_provider_is_removed_while_it_is_tuned(
    cluster: Cluster, namespace: str, provider: SimulatorProcess, operator: OperatorProcess
) -> None:
    provider.configure(settings())
    kept = account(provider, "kimi", concurrency=CAP)
    with simulator(settings()) as other:
        removed = account(other, "other", concurrency=CAP)
        fleet = Fleet(cluster, namespace).create(kept, removed, replicas=2)
        eventually(lambda: fleet.status("other").get("granted"), "both are divided")
        with fleet.ask(120) as asked:
            asked.wait(10)
            fleet.remove("other")
            eventually(lambda: not fleet.status("other"), "it is gone from the status")
        assert dict(asked.words) == {"answered": 120}
        assert max(most(provider), most(other)) <= CAP
    with fleet.ask(60) as asked:
        pass
    assert dict(asked.words) == {"answered": 60}
    assert "Traceback" not in operator.log.read_text()


def test_a_key_is_rotated_while_it_is_tuned(
    cluster: Cluster, namespace: str, provider: SimulatorProcess, operator: OperatorProcess
) -> None:
    provider.configure(settings())
    fleet = Fleet(cluster, namespace).create(account(provider, concurrency=CAP), replicas=4)
    with fleet.ask(200) as asked:
        asked.wait(20)
        cluster.apply(secret("sk-second"), namespace=namespace)
        assert KEY != "sk-second"

        def used() -> bool:
            with fleet.ask(8) as more:
                pass
            assert dict(more.words) == {"answered": 8}
            return len(provider.stats()["accounts"]) == 2

        eventually(used, "the new key is used")
    assert dict(asked.words) == {"answered": 200}
    with fleet.ask(100) as asked:
        pass
    assert dict(asked.words) == {"answered": 100}
    assert most(provider) <= CAP
    assert "Traceback" not in operator.log.read_text()


def test_a_limit_is_lowered_while_it_is_tuned(
    cluster: Cluster, namespace: str, provider: SimulatorProcess, operator: OperatorProcess
) -> None:
    provider.configure(settings())
    fleet = Fleet(cluster, namespace).create(account(provider, concurrency=CAP), replicas=4)
    with fleet.ask(240) as asked:
        asked.wait(20)
        fleet.limit("kimi", 4)
        eventually(lambda: 0 < fleet.status().get("granted", 0) <= 4, "four are granted")
        eventually(lambda: provider.stats()["in_flight"] <= 4, "what was begun has ended")
        provider.forget()
    assert dict(asked.words) == {"answered": 240}
    assert most(provider) <= 4
    assert operator.running
