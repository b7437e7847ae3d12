from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcp_gateway.api.route import Backend, Match, Retry, Route


def test_a_route_takes_everything_unless_it_says_what() -> None:
    route = Route(name="all", backends=[Backend(provider="kimi")])

    assert route.match == Match()
    assert (route.strategy, route.recording) == ("round_robin", None)


def test_a_route_needs_a_backend() -> None:
    with pytest.raises(ValidationError):
        Route(name="none", backends=[])


def test_what_may_have_been_generated_is_not_tried_again_unless_asked() -> None:
    assert Retry().on == ["connect", "refused", "overload", "stale"]
    assert Retry(on=["timeout", "serverError"]).on == ["timeout", "serverError"]
