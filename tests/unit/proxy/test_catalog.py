import json
from dataclasses import dataclass, field
from typing import Any, cast

import jsonschema
import msgspec
import pytest

from mcp_gateway.errors import INVALID_PARAMS, InvalidArguments, InvalidMessage
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.catalog import Catalog, Model
from mcp_gateway.proxy.exchange import ANONYMOUS, Client
from mcp_gateway.proxy.model_list import ModelList
from mcp_gateway.proxy.pattern import compile_pattern

HELLO = [{"role": "user", "content": "Hello!"}]


@dataclass
class Named:
    name: str


@dataclass
class Listed:
    models: list[str] = field(default_factory=list)

    async def get(self) -> list[str]:
        return self.models


def catalog(**lists: list[str]) -> Catalog:
    names = lists or {"kimi": [], "glm": []}
    accounts = cast("list[Account]", [Named(name) for name in names])
    listed = cast("dict[str, ModelList]", {name: Listed(models) for name, models in names.items()})
    return Catalog(accounts, listed)


def encode(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_there_is_a_chat_tool_one_for_each_provider_and_models() -> None:
    tools = json.loads(catalog().tools_json)
    assert [tool["name"] for tool in tools] == ["chat", "kimi_chat", "glm_chat", "models"]
    for tool in tools:
        jsonschema.Draft202012Validator.check_schema(tool["inputSchema"])
        jsonschema.Draft202012Validator.check_schema(tool["outputSchema"])
        assert tool["description"]


def test_a_call_keeps_every_field_as_it_was_sent() -> None:
    arguments = b'{"model":"kimi-k2","messages":[{"role":"user","content":"a\\u0041"}],"top_k" : 5}'
    call = catalog().call_from_tool("chat", arguments)
    assert call is not None
    assert (call.model, call.provider, call.body) == ("kimi-k2", "", None)
    assert bytes(call.fields["messages"]) == b'[{"role":"user","content":"a\\u0041"}]'
    assert bytes(call.fields["top_k"]) == b"5"


def test_a_providers_tool_asks_that_provider() -> None:
    call = catalog().call_from_tool("glm_chat", encode(model="glm-5", messages=HELLO))
    assert call is not None
    assert call.provider == "glm"
    with pytest.raises(InvalidArguments, match="this tool asks 'glm'"):
        catalog().call_from_tool("glm_chat", encode(model="m", messages=HELLO, provider="kimi"))


def test_models_makes_no_call() -> None:
    assert catalog().call_from_tool("models", None) is None


def test_an_unknown_tool_is_invalid_params() -> None:
    with pytest.raises(InvalidMessage) as caught:
        catalog().call_from_tool("shell", b"{}")
    assert caught.value.rpc_code == INVALID_PARAMS


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (b"[]", "expected a JSON object"),
        (b'{"messages": [{"role": "user"}]}', "model: missing"),
        (encode(model=5, messages=HELLO), "model: expected a string"),
        (encode(model="", messages=HELLO), "model: expected 1 to 256 characters"),
        (encode(model="m" * 257, messages=HELLO), "model: expected 1 to 256 characters"),
        (encode(model="m"), "messages: missing; expected a list such as"),
        (encode(model="m", messages=[]), "messages: expected at least one"),
        (encode(model="m", messages="hi"), "messages: Expected `array`"),
        (encode(model="m", messages=[{"content": "hi"}]), "missing required field `role`"),
        (encode(model="m", messages=[{"role": "boss"}]), r"Invalid enum value 'boss'.*\[0\]\.role"),
        (encode(model="m", messages=HELLO, provider="x"), "provider: there is no 'x'; expected"),
        (encode(model="m", messages=HELLO, stream=True), "stream is not an argument"),
    ],
)
def test_wrong_arguments_are_named(arguments: bytes, words: str) -> None:
    with pytest.raises(InvalidArguments, match=words):
        catalog().call_from_tool("chat", arguments)


def test_an_openai_body_is_passed_on_as_it_came() -> None:
    body = encode(model="kimi-k2", messages=HELLO, stream=True, stream_options={})
    call = catalog().call_from_openai(body)
    assert call.stream
    assert call.body is body
    assert "stream" not in call.fields


def test_a_member_given_twice_is_refused_where_the_body_is_passed_on() -> None:
    body = b'{"model":"kimi-k2","messages":[{"role":"user","content":"hi"}],"model":"glm-5"}'
    with pytest.raises(InvalidArguments, match="given twice"):
        catalog().call_from_openai(body)


def test_a_model_may_name_its_provider() -> None:
    call = catalog().call_from_openai(encode(model="kimi/kimi-k2", messages=HELLO))
    assert (call.provider, call.model, call.body) == ("kimi", "kimi-k2", None)
    assert bytes(call.fields["model"]) == b'"kimi-k2"'
    call = catalog().call_from_openai(encode(model="meta/llama", messages=HELLO))
    assert (call.provider, call.model) == ("", "meta/llama")


def test_stream_must_be_a_truth_value() -> None:
    with pytest.raises(InvalidArguments, match="stream: expected true or false"):
        catalog().call_from_openai(encode(model="m", messages=HELLO, stream="yes"))


def test_deep_nesting_is_refused() -> None:
    deep = b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(InvalidArguments):
        catalog().call_from_tool("chat", msgspec.Raw(deep))


async def test_models_are_those_the_client_may_call() -> None:
    made = catalog(kimi=["kimi-k2", "kimi-k3"], glm=["glm-5"])
    assert len(await made.models(ANONYMOUS)) == 3
    limited = Client("ann", models=compile_pattern("kimi-k3|glm-.*"))
    assert await made.models(limited) == [Model("kimi-k3", "kimi"), Model("glm-5", "glm")]


def test_a_body_that_is_passed_on_is_utf8_all_through() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}'
    with pytest.raises(InvalidArguments, match="UTF-8"):
        catalog().call_from_openai(body)
    good = '{"model":"m","messages":[{"role":"user","content":"\u00e9"}]}'.encode()
    assert catalog().call_from_openai(good).body == good
