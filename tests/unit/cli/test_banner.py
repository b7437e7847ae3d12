from __future__ import annotations

import dataclasses
import io
import json
import shlex
from typing import Any

import pytest

from mcp_gateway.cli import arguments, banner
from mcp_gateway.cli.banner import Facts

FACTS = Facts(
    name="quickstart",
    file="gateway.yaml",
    websocket="ws://127.0.0.1:8079/mcp",
    http="http://127.0.0.1:8079/mcp",
    openai="http://127.0.0.1:8079/v1",
    admin="http://127.0.0.1:9079",
    spool="/data/spool.db",
    providers={"kimi": "kimi", "spare": "simulator"},
    api_key="mgw_secret",
    model="kimi-k3",
    provider="kimi",
)


def changed(**fields: Any) -> Facts:
    return dataclasses.replace(FACTS, **fields)


def test_the_text_says_where_everything_is() -> None:
    text = banner.as_text(FACTS, io.StringIO())

    for fact in (FACTS.websocket, FACTS.http, FACTS.openai, FACTS.admin, FACTS.spool):
        assert fact in text
    assert "kimi, spare (simulator)" in text
    assert "mgw_secret  (made for this run; shown only here)" in text


def test_what_is_off_is_not_shown() -> None:
    text = banner.as_text(changed(openai="", websocket="", spool=""), io.StringIO())

    assert "OpenAI" not in text
    assert "WebSocket" not in text
    assert "not kept" in text


def test_the_json_has_every_address() -> None:
    assert banner.as_json(changed(spool="", api_key=""), 42) == {
        "name": "quickstart",
        "pid": 42,
        "mcp_websocket": "ws://127.0.0.1:8079/mcp",
        "mcp_http": "http://127.0.0.1:8079/mcp",
        "openai": "http://127.0.0.1:8079/v1",
        "admin": "http://127.0.0.1:9079",
        "control": None,
        "peer": None,
        "spool": None,
        "api_key": None,
        "providers": {"kimi": "kimi", "spare": "simulator"},
    }


def test_the_curl_line_is_a_chat_over_the_openai_face() -> None:
    words = shlex.split(banner.commands(FACTS)[0])

    assert words[:2] == ["curl", "http://127.0.0.1:8079/v1/chat/completions"]
    assert "Authorization: Bearer mgw_secret" in words
    body = json.loads(words[words.index("-d") + 1])
    assert body["model"] == "kimi-k3"


def test_without_the_openai_face_the_curl_line_speaks_mcp() -> None:
    words = shlex.split(banner.commands(changed(openai=""))[0])

    assert words[1] == FACTS.http
    assert "Mcp-Name: chat" in words
    body = json.loads(words[words.index("-d") + 1])
    assert body["method"] == "tools/call"
    assert body["params"]["arguments"]["model"] == "kimi-k3"


def test_with_websocket_alone_there_is_nothing_for_curl() -> None:
    (command,) = banner.commands(changed(openai="", http=""))

    assert command.startswith("mcp-gateway call")


def test_without_mcp_there_is_nothing_for_call() -> None:
    (command,) = banner.commands(changed(websocket="", http=""))

    assert command.startswith("curl")


def test_the_call_line_is_a_command_line_of_ours() -> None:
    words = shlex.split(banner.commands(FACTS)[1])

    args = arguments.parser().parse(words[1:])

    assert args.command == "call"
    assert (args.url, args.provider, args.model) == (FACTS.websocket, "kimi", "kimi-k3")
    assert (args.api_key, args.prompt) == ("mgw_secret", "Hello!")


def test_the_call_line_names_a_program_that_is_not_on_the_path() -> None:
    command = banner.commands(changed(program=".venv/bin/mcp-gateway"))[1]

    assert command.startswith(".venv/bin/mcp-gateway call ")


def test_a_key_of_the_document_is_left_to_the_environment() -> None:
    facts = changed(api_key="")

    curl, call = banner.commands(facts)

    assert '"Authorization: Bearer $MCP_GATEWAY_API_KEY"' in curl
    assert "--api-key" not in call
    assert "$MCP_GATEWAY_API_KEY" in banner.as_text(facts, io.StringIO())


def test_an_open_gateway_is_told_as_one() -> None:
    facts = changed(api_key="", needs_key=False)

    assert "none needed" in banner.as_text(facts, io.StringIO())
    assert "Authorization" not in banner.commands(facts)[0]


@pytest.mark.parametrize(
    ("url", "reachable"),
    [
        ("http://0.0.0.0:8079/mcp", "http://127.0.0.1:8079/mcp"),
        ("ws://[::]:8079/mcp", "ws://[::1]:8079/mcp"),
        ("https://gateway.example:443/v1", "https://gateway.example:443/v1"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
    ],
)
def test_an_address_for_all_is_shown_as_one_that_can_be_called(url: str, reachable: str) -> None:
    assert banner.reachable(url) == reachable


def test_a_gateway_that_others_reach_says_so() -> None:
    everywhere = "0.0.0.0"  # noqa: S104
    assert banner.on_all_addresses(everywhere)
    assert banner.on_all_addresses("::")
    assert not banner.on_all_addresses(everywhere, "10.0.0.7")
    assert banner.on_all_addresses(everywhere, "::")
    assert not banner.on_all_addresses("127.0.0.1")

    text = banner.as_text(changed(everywhere=True), io.StringIO())
    assert "all addresses of this machine, port 8079" in text
    assert "all addresses" not in banner.as_text(FACTS, io.StringIO())
