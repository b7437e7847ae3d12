"""Never more than the provider allows, whatever happens to messages, pods and leaders."""

from __future__ import annotations

import pytest
from tests.unit.mcp_gateway_operator.tuning.hostile import HostileWorld

STEPS = 1_500


@pytest.mark.parametrize("liars", [0, 2])
@pytest.mark.parametrize(("cap", "rate"), [(1, 3), (7, 40), (100, 500)])
@pytest.mark.parametrize("seed", range(3))
def test_shares_and_requests_in_flight_never_exceed_a_stated_limit(
    seed: int, cap: int, rate: int, liars: int
) -> None:
    world = HostileWorld(seed, cap, rate, 5, liars=liars)
    used = 0
    for step in range(STEPS):
        world.step()
        assert world.held <= cap, f"seed {seed}, step {step}"
        # What a liar has begun within a minute nobody can know.
        assert liars or world.begun <= rate, f"seed {seed}, step {step}"
        used = max(used, world.held)
    assert used >= cap * 0.9, "nothing was granted, so nothing was shown"
