"""Turns: one gateway at a time gets the operator's own changes."""

from __future__ import annotations

from typing import Any

from mcp_gateway_operator.conditions import Rollout
from mcp_gateway_operator.facts import Key
from mcp_gateway_operator.reconcile.store import Child
from mcp_gateway_operator.reconcile.upgrade import Upgrades
from mcp_gateway_operator.render.gateway import APPLIED, ASKED, IMAGE
from mcp_gateway_operator.render.kind import DEPLOYMENT

A, B, C = Key("ns", "a"), Key("ns", "b"), Key("ns", "c")
SERVES = Rollout(observed=True, total=2, updated=2, ready=2)
ROLLS = Rollout(observed=True, total=3, updated=1, ready=2)


def rendered(applied: str = "new", asked: str = "wish", image: str = "2") -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {
            "name": "a",
            "annotations": {APPLIED: applied, ASKED: asked, **({IMAGE: image} if image else {})},
            "ownerReferences": [{"uid": "u1"}],
        },
        "spec": {"replicas": 2},
    }


def child(applied: str = "old", asked: str | None = "wish") -> Child:
    annotations = {} if asked is None else {ASKED: asked, IMAGE: "1"}
    return Child(
        kind=DEPLOYMENT, name="a", uid="d1", version="1", generation=1, owner="u1",
        deleting=False, applied=applied, annotations=annotations,
        status=None, ours=b"",
    )  # fmt: skip


def status(ready: str = "True", progressing: str = "Complete") -> dict[str, Any]:
    return {
        "conditions": [
            {"type": "Ready", "status": ready, "reason": "Any"},
            {"type": "Progressing", "status": "False", "reason": progressing},
        ]
    }


class Queue:
    def __init__(self) -> None:
        self.asked: list[Key] = []
        self.upgrades = Upgrades(self.asked.append)

    def turn(self, key: Key, **about: str) -> str:
        return self.upgrades.turn(key, rendered(), child(), status(**about))


def test_the_first_is_announced_and_then_written_and_the_others_wait() -> None:
    queue = Queue()
    assert queue.turn(A) == "announce"
    assert queue.turn(B) == "wait"
    assert queue.turn(C) == "wait"
    assert queue.turn(A, progressing="Upgrading") == "free"
    assert queue.upgrades.has_turn(A)
    assert queue.upgrades.waits(B)
    assert not queue.upgrades.waits(A)


def test_the_next_has_its_turn_when_the_first_serves() -> None:
    queue = Queue()
    for key in (A, B, C):
        queue.turn(key)
    queue.upgrades.looked(A, rendered(), child("new"), ROLLS)
    assert queue.asked == []
    queue.upgrades.looked(A, rendered(), child("old"), SERVES)  # seen before it was written
    assert queue.asked == []
    queue.upgrades.looked(A, rendered(), child("new"), SERVES)
    assert queue.asked == [B]
    assert queue.turn(B) == "announce"
    assert queue.turn(C) == "wait"


def test_one_that_does_not_become_ready_stops_it() -> None:
    queue = Queue()
    queue.turn(A)
    assert queue.turn(A, ready="False", progressing="UpgradeStopped") == "free"
    assert queue.turn(B) == "wait"
    assert queue.upgrades.has_turn(A)


def test_a_person_need_not_wait() -> None:
    queue = Queue()
    queue.turn(A)
    changed = queue.upgrades.turn(B, rendered(asked="other"), child(), status())
    assert changed == "free"
    assert not queue.upgrades.has_turn(B)


def test_a_persons_change_brings_no_new_image() -> None:
    upgrades = Queue().upgrades
    assert upgrades.image(A, rendered(asked="other"), child()) == "1"
    assert upgrades.image(A, rendered(), child()) == ""  # nobody asked for anything
    assert upgrades.image(A, rendered(asked="other", image="1"), child()) == ""
    assert upgrades.image(A, rendered(asked="other", image=""), child()) == ""  # a named one
    assert upgrades.image(A, rendered(), None) == ""
    upgrades.turn(A, rendered(), child(), status())
    assert upgrades.image(A, rendered(asked="other"), child()) == ""  # it is its turn


def test_what_does_not_serve_anyhow_stops_nobody() -> None:
    queue = Queue()
    assert queue.turn(A, ready="False") == "free"
    assert not queue.upgrades.has_turn(A)
    queue.turn(B)
    assert queue.turn(A, ready="False") == "wait"


def test_nothing_to_do_is_no_turn() -> None:
    queue = Queue()
    assert queue.upgrades.turn(A, rendered(), child("new"), status()) == "free"
    assert queue.upgrades.turn(A, rendered(), None, status()) == "free"
    assert not queue.upgrades.has_turn(A)


def test_a_workload_of_a_version_that_left_no_note_waits_too() -> None:
    queue = Queue()
    assert queue.upgrades.turn(A, rendered(), child(asked=None), status()) == "announce"


def test_one_that_is_gone_or_paused_gives_its_turn_away() -> None:
    queue = Queue()
    queue.turn(A)
    queue.turn(B)
    queue.upgrades.forget(A)
    assert queue.asked == [B]


def test_one_that_no_longer_needs_its_turn_passes_it_on() -> None:
    queue = Queue()
    for key in (A, B, C):
        queue.turn(key)
    queue.upgrades.looked(A, rendered(), child("new"), SERVES)
    # A person changed B meanwhile, which brought the new version along.
    assert queue.upgrades.turn(B, rendered(), child("new"), status()) == "free"
    assert queue.asked == [B, C]


def test_a_leader_that_takes_over_knows_whose_turn_it_is() -> None:
    queue = Queue()
    queue.upgrades.begin([A])
    assert queue.upgrades.has_turn(A)
    assert queue.turn(B) == "wait"
