from __future__ import annotations

from mcp_gateway.api.status import Status


def test_a_later_writers_status_can_be_read() -> None:
    status = Status.model_validate(
        {
            "observedGeneration": 2,
            "laterField": {"a": 1},
            "conditions": [
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "NoPods",
                    "lastTransitionTime": "2026-11-01T10:00:00Z",
                    "laterField": 1,
                }
            ],
            "providers": [{"name": "kimi", "reachable": True}],
        }
    )

    assert status.conditions[0].reason == "NoPods"
    assert status.providers[0].reachable
