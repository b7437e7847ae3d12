from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcp_gateway.api.operation import Canary, Logging, Rollout, Tuning


def test_a_canary_is_part_of_a_canary_rollout() -> None:
    assert Rollout(strategy="Canary", canary=Canary(pods=2)).canary == Canary(pods=2)
    assert Rollout(strategy="Canary").canary is None
    with pytest.raises(ValidationError, match="canary needs strategy: Canary"):
        Rollout(canary=Canary())


def test_nothing_is_tuned_or_written_down_unless_asked() -> None:
    assert Tuning().mode == "Off"
    assert not Logging().content
