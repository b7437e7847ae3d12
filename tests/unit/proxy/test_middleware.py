import sys
from pathlib import Path

import pytest
from tests.support.scripted_provider import chat_exchange

from mcp_gateway.api import MCPGateway, Provider, Spec
from mcp_gateway.errors import ConfigError
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Exchange
from mcp_gateway.proxy.middleware import Handler, compose, load_third_party


class Noting:
    """Notes when it was passed, on the way in and out."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self._name = name
        self._notes = notes

    async def __call__(self, exchange: Exchange, handler: Handler) -> ChatAnswer | None:
        self._notes.append(f"{self._name} in")
        answer = await handler(exchange)
        self._notes.append(f"{self._name} out")
        return answer


async def innermost(_: Exchange) -> ChatAnswer:
    return ChatAnswer(content="Hi.")


async def test_layers_run_in_order_on_the_way_in_and_backwards_on_the_way_out() -> None:
    notes: list[str] = []
    handler = compose([Noting("first", notes), Noting("second", notes)], innermost)
    answer = await handler(chat_exchange())
    assert answer is not None
    assert answer.content == "Hi."
    assert notes == ["first in", "second in", "second out", "first out"]


async def test_without_layers_the_innermost_handler_answers() -> None:
    assert await compose([], innermost)(chat_exchange()) is not None


MODULE = """
from mcp_gateway.errors import PermissionDenied


class OfficeHours:
    async def __call__(self, exchange, handler):
        raise PermissionDenied("the office is closed")


def office_hours(spec):
    return OfficeHours()
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with a middleware, as a package manager would have put it there."""
    (tmp_path / "acme_gateway_layer.py").write_text(MODULE)
    info = tmp_path / "acme_gateway-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-gateway\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[mcp_gateway.middleware]\n"
        "office_hours = acme_gateway_layer:office_hours\n"
        "broken = acme_gateway_layer:no_such_thing\n"
        "missing = acme_no_such_module:layer\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_gateway_layer", raising=False)


@pytest.mark.usefixtures("installed")
async def test_a_third_partys_layer_is_found_by_its_entry_point() -> None:
    spec = Spec(providers=[Provider(name="kimi", type="simulator")])
    assert MCPGateway.of(spec).spec is spec
    layer = load_third_party("office_hours")(spec)
    with pytest.raises(Exception, match="the office is closed"):
        await compose([layer], innermost)(chat_exchange())


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["broken", "missing"])
def test_a_layer_that_cannot_be_loaded_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f"middleware '{name}' cannot be loaded"):
        load_third_party(name)


def test_an_unknown_layer_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="expected auth, rate_limit, logging"):
        load_third_party("nope")
