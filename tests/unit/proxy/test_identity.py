from __future__ import annotations

from typing import Any

from mcp_gateway.api import Provider
from mcp_gateway.proxy.identity import DIGITS, account_identity


def provider(name: str = "a", **fields: Any) -> Provider:
    settings = {"type": "kimi", "apiKey": {"env": "KEY"}, **fields}
    return Provider.model_validate({"name": name, **settings})


def test_the_same_key_at_the_same_origin_is_the_same_account() -> None:
    one = account_identity(provider("a"), "sk-1", "web-1")
    assert one == account_identity(provider("b"), "sk-1", "web-2")
    assert len(one) == DIGITS
    int(one, 16)
    explicit = provider(endpoints=[{"url": "https://api.moonshot.ai:443/v1"}])
    assert one == account_identity(explicit, "sk-1", "web-1")


def test_another_key_or_origin_is_another_account() -> None:
    china = provider(endpoints=[{"url": "https://api.moonshot.cn/v1"}])
    found = {
        account_identity(provider(), "sk-1", "web-1"),
        account_identity(provider(), "sk-2", "web-1"),
        account_identity(china, "sk-1", "web-1"),
    }
    assert len(found) == 3


def test_the_key_cannot_be_seen() -> None:
    assert "sk-1" not in account_identity(provider(), "sk-1", "web-1")


def test_every_process_simulates_its_own_account() -> None:
    simulated = provider(type="simulator", apiKey=None)
    first = account_identity(simulated, None, "web-1")
    assert first != account_identity(simulated, None, "web-2")
    assert first == account_identity(simulated, None, "web-1")


def test_a_server_without_a_key_is_one_account() -> None:
    open_one = provider(type="openai", apiKey=None, endpoints=[{"url": "http://vllm:8000/v1"}])
    assert account_identity(open_one, None, "a") == account_identity(open_one, None, "b")
