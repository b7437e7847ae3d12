import pytest

from mcp_gateway.errors import NoRoute
from mcp_gateway.proxy.balancer import round_robin
from mcp_gateway.proxy.pattern import compile_pattern
from mcp_gateway.proxy.router import REMEMBERED, Route, Router


def route(name: str, **match: str) -> Route:
    matchers = tuple(
        (Router.FIELDS.index(field), compile_pattern(pattern)) for field, pattern in match.items()
    )
    return Route(name, matchers, (), round_robin)


def test_the_first_route_that_matches_takes_the_request() -> None:
    router = Router([route("kimi", model="kimi-.*"), route("rest")])
    assert router.route(("", "kimi-k2", "chat", "tools/call", "ann")).name == "kimi"
    assert router.route(("", "glm-5", "chat", "tools/call", "ann")).name == "rest"


def test_a_pattern_must_match_the_whole_value() -> None:
    router = Router([route("kimi", model="kimi")])
    with pytest.raises(NoRoute):
        router.route(("", "kimi-k2", "", "", ""))


def test_every_constrained_field_must_match() -> None:
    router = Router([route("both", model="kimi-.*", client="batch-.*")])
    assert router.route(("", "kimi-k2", "", "", "batch-1")).name == "both"
    with pytest.raises(NoRoute):
        router.route(("", "kimi-k2", "", "", "ann"))


def test_no_route_says_what_was_asked_and_which_routes_there_are() -> None:
    router = Router([route("kimi", model="kimi-.*")])
    with pytest.raises(NoRoute, match=r"no route matches provider 'x', model 'gpt-9'.*: kimi"):
        router.route(("x", "gpt-9", "", "tools/call", "ann"))


def test_what_clients_send_cannot_fill_the_memory() -> None:
    router = Router([route("rest")])
    for number in range(REMEMBERED + 10):
        router.route(("", f"model-{number}", "", "", ""))
    assert len(router._remembered) <= REMEMBERED


def test_a_hostile_value_is_matched_in_linear_time() -> None:
    # With a backtracking engine this pattern needs longer than the universe is old.
    router = Router([route("slow", model="(a+)+b")])
    with pytest.raises(NoRoute):
        router.route(("", "a" * 256, "", "", ""))
