"""What the named providers allow an account, as their documents say, by tier.

Source: the limits page of the Kimi platform (concurrency / requests / tokens per minute, and
tokens per day of the free tier). GLM publishes no table: its limits are per model and move at
peak hours, so a GLM account states `limits.byModel` or is learned.
"""

from __future__ import annotations

from typing import Final

from mcp_gateway.api.limits import AccountLimits


def _kimi(concurrency: int, rpm: int, tpm: int, tpd: int | None = None) -> AccountLimits:
    return AccountLimits(
        concurrency=concurrency,
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        tokens_per_day=tpd,
    )


TIERS: Final[dict[str, AccountLimits]] = {
    "kimi-tier0": _kimi(1, 3, 500_000, 1_500_000),
    "kimi-tier1": _kimi(50, 200, 2_000_000),
    "kimi-tier2": _kimi(100, 500, 3_000_000),
    "kimi-tier3": _kimi(200, 5_000, 3_000_000),
    "kimi-tier4": _kimi(400, 5_000, 4_000_000),
    "kimi-tier5": _kimi(1_000, 10_000, 5_000_000),
}
"""Account limits by the name written in `providers[].tier`."""

ENDPOINTS: Final[dict[str, str]] = {
    "kimi": "https://api.moonshot.ai/v1",
    "glm": "https://api.z.ai/api/paas/v4",
}
"""Where a provider type is called when the document names no endpoint: the global sites."""

MODEL_FAMILIES: Final[dict[str, str]] = {
    "kimi": "(kimi|moonshot)-.*",
    "glm": "glm-.*",
}
"""Expression that matches the model names of a provider type."""
