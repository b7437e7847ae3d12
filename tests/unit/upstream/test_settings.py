from __future__ import annotations

from mcp_gateway.upstream.settings import UNBOUNDED, PoolSettings


def test_capacity_is_what_is_kept_and_the_overflow() -> None:
    settings = PoolSettings(max_connections=10, max_overflow=20)
    assert (settings.kept, settings.capacity) == (10, 30)
    assert PoolSettings(max_connections=10, max_overflow=None).capacity == 10


def test_without_a_cap_the_share_alone_decides() -> None:
    settings = PoolSettings(max_connections=None, max_overflow=5)
    assert settings.kept == settings.capacity == UNBOUNDED
