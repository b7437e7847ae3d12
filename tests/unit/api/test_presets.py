from __future__ import annotations

from typing import get_args

import re2

from mcp_gateway.api.presets import MODEL_FAMILIES, TIERS
from mcp_gateway.api.provider import Tier


def test_every_tier_can_be_written_and_every_word_is_a_tier() -> None:
    assert set(TIERS) == set(get_args(Tier))


def test_tiers_are_those_of_the_providers_page() -> None:
    numbers = {
        name: (t.concurrency, t.requests_per_minute, t.tokens_per_minute, t.tokens_per_day)
        for name, t in TIERS.items()
    }

    assert numbers["kimi-tier0"] == (1, 3, 500_000, 1_500_000)
    assert numbers["kimi-tier2"] == (100, 500, 3_000_000, None)
    assert numbers["kimi-tier5"] == (1_000, 10_000, 5_000_000, None)


def test_families_match_the_models_of_their_provider() -> None:
    for model in ("kimi-k2-0905-preview", "kimi-k3", "moonshot-v1-8k"):
        assert re2.fullmatch(MODEL_FAMILIES["kimi"], model)
    assert re2.fullmatch(MODEL_FAMILIES["glm"], "glm-4.7")
    assert not re2.fullmatch(MODEL_FAMILIES["glm"], "chatglm-6b")
