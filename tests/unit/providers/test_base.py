from __future__ import annotations

from mcp_gateway.providers.base import ProviderRefused, Refusal, RefusalKind


def test_a_refusal_reads_as_the_provider_put_it() -> None:
    refusal = Refusal(RefusalKind.CONCURRENCY, 429, "1302", "High concurrency")
    assert str(ProviderRefused(refusal)) == "429 1302: High concurrency"
