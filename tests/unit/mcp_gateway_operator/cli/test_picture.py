"""What `status` lays out, of objects as an API server gives them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mcp_gateway_operator.cli.picture import Picture, age, details, overview

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
EARLIER = "2026-01-01T11:50:00Z"


def condition(name: str, status: str, reason: str = "Because", message: str = "") -> dict[str, str]:
    return {
        "type": name, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": EARLIER,
    }  # fmt: skip


def gateway(**status: Any) -> dict[str, Any]:
    metadata = {"name": "llm", "namespace": "ai", "creationTimestamp": EARLIER}
    return {"metadata": metadata, "spec": {}, **({"status": status} if status else {})}


def pod(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "llm-1", "namespace": "ai", "creationTimestamp": EARLIER},
        "spec": {"nodeName": "node-1"},
        "status": {"phase": "Running", "podIP": "10.0.0.1", **status},
    }


def serving() -> dict[str, Any]:
    return gateway(
        conditions=[condition("Ready", "True", "Serving", "2 of 2 pods serve")],
        replicas=2,
        readyReplicas=2,
        configGeneration=7,
        configApplied="2/2",
        endpoint="http://llm.ai.svc:8079",
        providers=[
            {"name": "kimi", "reachable": True},
            {"name": "glm", "reachable": False, "message": "no route to host"},
            {"name": "new"},
        ],
    )


def cells(text: str, line: int) -> list[str]:
    return [cell for cell in text.splitlines()[line].split("   ") if cell]


def test_a_gateway_is_a_line() -> None:
    text = overview([Picture(serving(), [])], NOW)
    assert [each.strip() for each in cells(text, 1)] == [
        "ai", "llm", "True", "2/2", "7 (2/2)", "1/2", "10m", "-",
    ]  # fmt: skip


def test_a_gateway_that_no_operator_has_seen() -> None:
    picture = Picture(gateway(), [])
    assert not picture.ready
    text = overview([picture], NOW)
    assert [each.strip() for each in cells(text, 1)] == [
        "ai", "llm", "Unknown", "0/0", "-", "-", "10m", "-",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([condition("Ready", "False", "SecretMissing", "Secret kimi does not exist")],
         "Secret kimi does not exist"),
        ([condition("Ready", "False", "SecretMissing")], "SecretMissing"),
        ([condition("Ready", "True"), condition("ConfigApplied", "False", "Pending", "1 of 2")],
         "1 of 2"),
        ([condition("Ready", "True"), condition("Degraded", "True", "X", "glm refused the key")],
         "glm refused the key"),
        ([condition("Ready", "True"), condition("Degraded", "False")], ""),
    ],
)  # fmt: skip
def test_the_message_is_what_matters_most(conditions: list[dict[str, str]], message: str) -> None:
    assert Picture(gateway(conditions=conditions), []).message == message


def test_details_have_conditions_pods_providers_and_events() -> None:
    event = {"metadata": {"creationTimestamp": EARLIER}, "type": "Warning", "reason": "Drift",
             "message": "took back\nreplicas"}  # fmt: skip
    ready = pod(conditions=[{"type": "Ready", "status": "True"}],
                containerStatuses=[{"restartCount": 3}])  # fmt: skip
    text = details(Picture(serving(), [ready], [event]), NOW)
    assert "http://llm.ai.svc:8079" in text
    assert "2 of 2 pods serve" in text
    assert "no route to host" in text
    assert "took back replicas" in text
    line = next(line for line in text.splitlines() if line.startswith("llm-1"))
    assert line.split() == ["llm-1", "True", "Running", "3", "10.0.0.1", "node-1", "10m"]


@pytest.mark.parametrize(
    ("container", "shown"),
    [
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}}, "CrashLoopBackOff"),
        ({"state": {"terminated": {"reason": "OOMKilled"}}}, "OOMKilled"),
        ({"state": {"running": {}}}, "Running"),
    ],
)
def test_the_state_of_a_pod_is_its_containers(container: dict[str, Any], shown: str) -> None:
    (found,) = Picture(gateway(), [pod(containerStatuses=[container])]).as_json()["pods"]
    assert found["state"] == shown


def test_a_pod_that_was_told_to_go() -> None:
    leaving = pod()
    leaving["metadata"]["deletionTimestamp"] = EARLIER
    (found,) = Picture(gateway(), [leaving]).as_json()["pods"]
    assert found["state"] == "Terminating"
    assert not found["ready"]


def test_text_of_strangers_cannot_drive_a_terminal() -> None:
    evil = gateway(conditions=[condition("Ready", "False", "X", "\x1b[2Jgone\nnew line")])
    text = overview([Picture(evil, [])], NOW)
    assert "\x1b" not in text
    assert len(text.splitlines()) == 2


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("", ""),
        ("2026-01-01T11:59:30Z", "30s"),
        ("2026-01-01T11:58:01Z", "119s"),
        ("2026-01-01T11:58:00Z", "2m"),
        ("2026-01-01T09:00:00.500000Z", "2h"),
        ("2025-12-01T12:00:00Z", "31d"),
        ("2026-01-01T12:00:05Z", "0s"),
    ],
)
def test_age(moment: str, shown: str) -> None:
    assert age(moment, NOW) == shown


def tuned() -> dict[str, Any]:
    change = {"time": EARLIER, "before": 100, "after": 52, "reason": "14 concurrency refusals"}
    raised = {"time": "2026-01-01T11:59:00Z", "after": 60, "reason": "probed"}
    limit = {
        "ceiling": 52, "stated": 100, "granted": 52, "inFlight": 50, "waiting": 3, "refused": 14,
        "state": "Holding", "reason": "14 concurrency refusals",
        "shares": [{"pod": "a", "share": 26}, {"pod": "b", "share": 26}],
        "requestsPerMinute": {"stated": 500, "granted": 500, "used": 480},
    }  # fmt: skip
    advice = {"lower": 3, "target": 7, "upper": 9, "reason": "demand of 1 a second"}
    providers = [
        {"name": "kimi", "reachable": True, **limit, "changes": [change]},
        {"name": "glm", "state": "Idle", "byModel": [
            {"model": "glm-5", "state": "Idle", "ceiling": 60, "inFlight": 0, "changes": [raised]},
            {"model": "glm-4", "state": "Idle", "inFlight": 0, "recommendation": advice},
        ]},
    ]  # fmt: skip
    return gateway(providers=providers)


def test_limits_are_shown_with_shares_and_the_last_reasons() -> None:
    lines = details(Picture(tuned(), []), NOW).splitlines()
    kimi = next(line for line in lines if line.startswith("kimi") and "Holding" in line)
    assert kimi.split() == [
        "kimi", "Holding", "52", "100", "52", "50", "3", "14", "26+26", "480/500", "-",
    ]  # fmt: skip
    assert any(line.split()[:4] == ["glm", "glm-5", "Idle", "60"] for line in lines)
    assert any("7 recommended, at least 3, at most 9: demand of 1 a second" in o for o in lines)
    changes = lines[next(n for n, line in enumerate(lines) if line.startswith("AGE")) + 1 :]
    assert changes[0].split() == ["60s", "glm", "glm-5", "60", "probed"]
    assert changes[1].split()[:5] == ["10m", "kimi", "100", "→", "52"]


def test_providers_of_which_no_pod_has_told_have_no_limits() -> None:
    assert "CEILING" not in details(Picture(serving(), []), NOW)
