from __future__ import annotations

from mcp_gateway_operator.facts import Probed, ProbeState
from mcp_gateway_operator.fleet.probing import (
    ANSWER_WITHIN,
    GAP,
    WHILE_HEALTHY,
    WHILE_NOT,
    Asked,
    Subject,
    answered,
    chosen,
    due,
)

SUBJECT: Subject = (3, ("kimi", "glm"))


def asked(*states: ProbeState, at: float = 100.0, open_: str = "") -> Asked:
    found = tuple(Probed(name, state) for name, state in zip(SUBJECT[1], states, strict=False))
    return Asked(SUBJECT, "a", open_, at, found)


def test_the_first_question_is_asked_at_once() -> None:
    assert due(Asked(), SUBJECT, 5.0) == 0.0


def test_a_healthy_account_is_seldom_asked_and_another_soon_again() -> None:
    assert due(asked("Healthy", "Healthy"), SUBJECT, 110.0) == WHILE_HEALTHY - 10.0
    assert due(asked("Healthy", "Unreachable"), SUBJECT, 110.0) == WHILE_NOT - 10.0


def test_another_document_is_asked_about_soon_but_never_more_than_three_times_a_minute() -> None:
    other: Subject = (4, ("kimi",))

    assert due(asked("Healthy", "Healthy"), other, 101.0) == GAP - 1.0
    assert due(asked("Healthy", "Healthy"), other, 100.0 + GAP) == 0.0
    assert GAP * 3 >= 60.0


def test_one_question_at_a_time() -> None:
    waiting = asked("Healthy", open_="1")

    assert due(waiting, (9, ()), 101.0) == ANSWER_WITHIN - 1.0
    assert due(waiting, SUBJECT, 100.0 + ANSWER_WITHIN) == 0.0


def test_the_pod_of_last_time_is_asked_again() -> None:
    pods = {"a": 3, "b": 3, "c": 2}

    assert chosen(pods, 3, "b") == "b"
    assert chosen(pods, 3, "gone") == "a"
    assert chosen(pods, 3, "c") == "a"
    assert chosen(pods, 9, "a") == ""


def test_findings_are_kept_in_the_documents_order() -> None:
    before = asked("Healthy", "Healthy", open_="1")
    after = answered(before, (Probed("glm", "Unreachable"), Probed("stranger", "Healthy")))

    assert [(probed.provider, probed.state) for probed in after.found] == [
        ("kimi", "Healthy"),
        ("glm", "Unreachable"),
    ]
    assert after.id == ""
