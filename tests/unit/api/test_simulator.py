from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcp_gateway.api.simulator import SimulatedFailure, SimulatorSettings


def test_a_simulator_needs_no_settings() -> None:
    settings = SimulatorSettings()

    assert (settings.wire, settings.concurrency, settings.failures) == ("kimi", None, [])


def test_failures_are_parts_of_one_whole() -> None:
    tenths = [SimulatedFailure(kind="stall", ratio=0.1)] * 10

    assert len(SimulatorSettings(failures=tenths).failures) == 10
    with pytest.raises(ValidationError, match="at most 1"):
        SimulatorSettings(failures=[*tenths, SimulatedFailure(kind="reset", ratio=0.01)])
