from __future__ import annotations

from typing import Any

import pytest

from mcp_gateway.api.provider import Provider as Description
from mcp_gateway.errors import ConfigError
from mcp_gateway.providers.glm import GLMProvider
from mcp_gateway.providers.kimi import KimiProvider
from mcp_gateway.providers.openai_chat import OpenAIChatProvider
from mcp_gateway.providers.registry import build

URL = {"endpoints": [{"url": "http://provider.test/v1"}]}


def describe(**fields: Any) -> Description:
    return Description.model_validate({"name": "one", **fields})


@pytest.mark.parametrize(
    ("fields", "made"),
    [
        ({"type": "kimi", **URL}, KimiProvider),
        ({"type": "glm", **URL}, GLMProvider),
        ({"type": "openai", **URL}, OpenAIChatProvider),
        ({"type": "simulator"}, KimiProvider),
        ({"type": "simulator", "simulator": {"wire": "glm"}}, GLMProvider),
    ],
)
def test_a_type_makes_its_provider(fields: dict[str, Any], made: type) -> None:
    provider = build(describe(**fields), "sk-1", lambda: 0.0)
    assert type(provider) is made
    assert provider.name == "one"
    assert provider.headers() == {b"authorization": b"Bearer sk-1"}


def test_a_simulated_account_needs_no_key_of_the_documents() -> None:
    provider = build(describe(type="simulator"), None, lambda: 0.0)
    assert provider.headers() == {b"authorization": b"Bearer simulated"}


def test_a_server_that_asks_for_no_key_is_sent_none() -> None:
    assert build(describe(type="openai", **URL), None, lambda: 0.0).headers() == {}


def test_a_signed_glm_key_is_sent_as_a_token() -> None:
    description = describe(type="glm", keyFormat="jwt", **URL)
    sent = build(description, "id.secret", lambda: 0.0).headers()[b"authorization"]
    assert sent.startswith(b"Bearer ey")
    with pytest.raises(ConfigError, match="keyFormat"):
        build(description, "sk-1", lambda: 0.0)
