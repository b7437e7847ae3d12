"""The tree of errors: what its docstring draws is what there is."""

import inspect

import pytest

from mcp_gateway import errors
from mcp_gateway.errors import GatewayError

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, GatewayError)
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_is_drawn_in_the_tree(kind: type[GatewayError]) -> None:
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_own_codes_equal_the_status_and_the_rest_is_json_rpcs(kind: type[GatewayError]) -> None:
    assert kind.rpc_code == kind.http_status or -32768 <= kind.rpc_code <= -32000


def test_data_has_the_reason_and_what_is_known() -> None:
    error = errors.RateLimited("slow down", provider="kimi", retry_after=1.23456)
    assert error.data() == {"reason": "RateLimited", "provider": "kimi", "retryAfter": 1.235}


@pytest.mark.parametrize(("status", "seen"), [(400, 400), (429, 429), (401, 502), (500, 502)])
def test_a_providers_status_is_passed_on_where_it_is_the_clients_business(
    status: int, seen: int
) -> None:
    error = errors.UpstreamRefused("no", status=status, kind="request")
    assert error.http_status == error.rpc_code == seen
