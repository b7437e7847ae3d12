from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcp_gateway.api.limits import AccountLimits, LimitsUpdate, ModelLimits


def test_own_limits_win_over_those_below() -> None:
    base = AccountLimits(concurrency=100, requests_per_minute=500)
    own = AccountLimits(concurrency=10, by_model={"glm-5": ModelLimits(concurrency=3)})

    over = own.over(base)

    assert (over.concurrency, over.requests_per_minute) == (10, 500)
    assert over.by_model["glm-5"].concurrency == 3


def test_an_update_tells_what_was_given_from_what_was_left_out() -> None:
    update = LimitsUpdate.model_validate(
        {"providers": {"kimi": {"share": None, "byModel": {"kimi-k2.6": {"share": 3}}}}}
    )

    kimi = update.providers["kimi"]
    assert kimi.model_fields_set == {"share", "by_model"}
    assert kimi.share is None
    assert kimi.by_model["kimi-k2.6"].share == 3


@pytest.mark.parametrize("given", [{}, {"Kimi": {}}, {"kimi": {"share": -1}}, {"kimi": {"x": 1}}])
def test_an_update_that_makes_no_sense_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LimitsUpdate.model_validate({"providers": given})
