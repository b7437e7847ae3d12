import pytest
from tests.support.scripted_provider import chat_exchange

from mcp_gateway.config import client_keys
from mcp_gateway.errors import PermissionDenied, Unauthenticated
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Client, Exchange, Face
from mcp_gateway.proxy.layers.auth import AuthLayer


async def handler(_: Exchange) -> ChatAnswer:
    return ChatAnswer(content="in")


class Tokens:
    async def verify(self, token: str) -> Client:
        if token != "a.b.c":
            raise Unauthenticated("the token is not valid")
        return Client("token-bearer")


def layer(*lines: str, tokens: Tokens | None = None, anonymous: bool = False) -> AuthLayer:
    return AuthLayer(client_keys.parse("\n".join(lines)), tokens, anonymous=anonymous)


async def test_a_key_tells_who_is_asking() -> None:
    key, line = client_keys.create("ann")
    exchange = chat_exchange(credential=key)
    assert await layer(line)(exchange, handler) is not None
    assert exchange.client.name == "ann"


@pytest.mark.parametrize("credential", ["", "mgw_wrong", "a.b.c", "\udcff"])
async def test_anybody_else_stays_out(credential: str) -> None:
    _, line = client_keys.create("ann")
    with pytest.raises(Unauthenticated):
        await layer(line)(chat_exchange(credential=credential), handler)


async def test_a_refusal_does_not_repeat_the_credential() -> None:
    with pytest.raises(Unauthenticated) as caught:
        await layer()(chat_exchange(credential="mgw_guess"), handler)
    assert "mgw_guess" not in str(caught.value)


async def test_a_key_may_allow_some_models_only() -> None:
    key, line = client_keys.create("ann", models="kimi-.*")
    auth = layer(line)
    assert await auth(chat_exchange("kimi-k2", credential=key), handler) is not None
    with pytest.raises(PermissionDenied, match="'ann' does not allow model 'glm-5'"):
        await auth(chat_exchange("glm-5", credential=key), handler)


async def test_a_key_brings_its_own_rate() -> None:
    key, line = client_keys.create("ann", rate="60/1m")
    exchange = chat_exchange(credential=key)
    await layer(line)(exchange, handler)
    assert exchange.client.requests_per_second == 1.0


async def test_a_token_is_asked_about_where_no_key_fits() -> None:
    exchange = chat_exchange(credential="a.b.c")
    await layer(tokens=Tokens())(exchange, handler)
    assert exchange.client.name == "token-bearer"
    with pytest.raises(Unauthenticated, match="not known here"):
        await layer(tokens=Tokens())(chat_exchange(credential="no-token"), handler)


async def test_anonymous_serves_everybody_and_still_knows_keys() -> None:
    key, line = client_keys.create("ann")
    auth = layer(line, anonymous=True)
    nobody = chat_exchange()
    await auth(nobody, handler)
    assert nobody.client.name == "anonymous"
    ann = chat_exchange(credential=key)
    await auth(ann, handler)
    assert ann.client.name == "ann"
    with pytest.raises(Unauthenticated):
        await auth(chat_exchange(credential="mgw_wrong"), handler)


async def test_where_nobody_needs_a_key_any_will_do() -> None:
    exchange = chat_exchange(credential="sk-whatever-the-library-insists-on")
    await layer(anonymous=True)(exchange, handler)
    assert exchange.client.name == "anonymous"


async def test_code_of_this_process_needs_no_key() -> None:
    exchange = chat_exchange()
    exchange.face = Face.EMBEDDED
    assert await layer()(exchange, handler) is not None
