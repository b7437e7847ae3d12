from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcp_gateway.api.auth import BUILT_IN_MIDDLEWARE, JWT, Auth, RateLimit


def test_without_a_word_everybody_needs_a_key() -> None:
    auth = Auth()

    assert (auth.api_keys, auth.jwt, auth.anonymous) == (None, None, False)
    assert BUILT_IN_MIDDLEWARE == ("auth", "rate_limit", "logging")


def test_tokens_are_signed_by_somebody_else() -> None:
    jwt = JWT(issuer="i", audience="a", jwks_uri="https://i/keys")

    assert jwt.algorithms == ["RS256", "ES256"]
    with pytest.raises(ValidationError):
        JWT.model_validate({**jwt.model_dump(), "algorithms": ["HS256"]})
    with pytest.raises(ValidationError):
        JWT.model_validate({**jwt.model_dump(), "algorithms": []})


def test_a_rate_is_requests_over_a_period() -> None:
    assert RateLimit(requests=600).per_second == pytest.approx(10.0)
    assert RateLimit(requests=5, per=0.5).per_second == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("requests", "burst", "size"), [(600, None, 60), (5, None, 1), (600, 7, 7)]
)
def test_a_burst_is_a_tenth_unless_said(requests: int, burst: int | None, size: int) -> None:
    assert RateLimit(requests=requests, burst=burst).burst_size == size
