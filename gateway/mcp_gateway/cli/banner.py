"""What a gateway that has started tells: where everything is, and what to try.

One object of facts, printed for people as text and for programs as JSON.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO
from urllib.parse import urlsplit

from mcp_gateway import __version__
from mcp_gateway.cli import terminal

_MESSAGE = "Hello!"
_ALL = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - to tell of it


@dataclass(frozen=True, slots=True)
class Facts:
    """Where a running gateway can be found.

    Attributes:
        name: the document's `metadata.name`.
        file: the document.
        websocket, http, openai, admin, control, peer: URLs; empty where one is off.
        spool: path of the records' database; empty where nothing is recorded.
        providers: type of each provider, by its name.
        api_key: the key made for this run; empty where none was.
        needs_key: clients must send a key.
        model: a model to try, and `provider`, who has it; empty where none is known.
        program: how this command is called from the folder it was started in.
        everywhere: clients on other machines reach it too, at every address of this one.
    """

    name: str
    file: str
    websocket: str = ""
    http: str = ""
    openai: str = ""
    admin: str = ""
    control: str = ""
    peer: str = ""
    spool: str = ""
    providers: Mapping[str, str] = field(default_factory=dict)
    api_key: str = ""
    needs_key: bool = True
    model: str = ""
    provider: str = ""
    program: str = "mcp-gateway"
    everywhere: bool = False


def on_all_addresses(host: str, bind: str = "") -> bool:
    """Tell whether a listener can be reached at every address of this machine.

    Args:
        host: where the document wants it.
        bind: where it is in place of 0.0.0.0; or empty.
    """
    return (bind if bind and host == "0.0.0.0" else host) in _ALL  # noqa: S104


def reachable(url: str) -> str:
    """Return a listener's URL as a program on this machine would write it.

    A listener on all addresses has none that could be called: loopback stands in.
    """
    parts = urlsplit(url)
    loopback = _ALL.get(parts.hostname or "")
    if loopback is None:
        return url
    return parts._replace(netloc=f"{loopback}:{parts.port}").geturl()


def as_json(facts: Facts, pid: int) -> dict[str, Any]:
    """Return the facts for a program; what there is not is null."""
    return {
        "name": facts.name,
        "pid": pid,
        "mcp_websocket": facts.websocket or None,
        "mcp_http": facts.http or None,
        "openai": facts.openai or None,
        "admin": facts.admin or None,
        "control": facts.control or None,
        "peer": facts.peer or None,
        "spool": facts.spool or None,
        "api_key": facts.api_key or None,
        "providers": dict(facts.providers),
    }


def as_text(facts: Facts, stream: TextIO) -> str:
    """Return the facts for a person."""
    title = terminal.paint(f"mcp-gateway {__version__}", "bold", stream)
    places = {
        "MCP WebSocket": facts.websocket,
        "MCP HTTP": facts.http,
        "OpenAI API": facts.openai,
        "Listens on": _listens_line(facts),
        "Admin page": facts.admin,
        "Operator": facts.control,
        "Other pods": facts.peer,
        "Records": facts.spool or "not kept",
        "Providers": ", ".join(
            name if name == kind else f"{name} ({kind})" for name, kind in facts.providers.items()
        ),
        "API key": _key_line(facts),
    }
    lines = [f"{title} · {facts.name} · {facts.file}", ""]
    lines.append(terminal.fields({name: value for name, value in places.items() if value}))
    lines += ["", "Try:", "", *(f"  {command}" for command in commands(facts)), ""]
    return "\n".join(lines)


def commands(facts: Facts) -> list[str]:
    """Return command lines that work against this gateway as it is."""
    return [command for command in (_curl(facts), _call(facts)) if command]


def _listens_line(facts: Facts) -> str:
    url = facts.websocket or facts.http or facts.openai
    if not (facts.everywhere and url):
        return ""
    port = urlsplit(url).port
    return f"all addresses of this machine, port {port}: others reach it too"


def _key_line(facts: Facts) -> str:
    if facts.api_key:
        return f"{facts.api_key}  (made for this run; shown only here)"
    return "one of spec.auth, in $MCP_GATEWAY_API_KEY below" if facts.needs_key else "none needed"


def _curl(facts: Facts) -> str:
    """A chat over the OpenAI face, or else over MCP, or nothing where there is no HTTP."""
    chat: dict[str, Any] = {
        "model": facts.model or "MODEL",
        "messages": [{"role": "user", "content": _MESSAGE}],
    }
    words = ["curl"]
    if facts.openai:
        words += [f"{facts.openai}/chat/completions", *_header("Content-Type: application/json")]
        return _command(facts, words, chat)
    if not facts.http:
        return ""
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": "chat",
            "arguments": chat,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    }
    headers = (
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/call",
        "Mcp-Name: chat",
    )
    words.append(facts.http)
    for header in headers:
        words += _header(header)
    return _command(facts, words, call)


def _call(facts: Facts) -> str:
    url = facts.websocket or facts.http
    if not url:
        return ""
    words = [facts.program, "call", "--url", url]
    if facts.api_key:
        words += ["--api-key", facts.api_key]
    if facts.provider:
        words += ["--provider", facts.provider]
    if facts.model:
        words += ["--model", facts.model]
    # Single quotes: an interactive shell would expand the `!` in double ones.
    return f"{shlex.join(words)} '{_MESSAGE}'"


def _header(header: str) -> list[str]:
    return ["-H", header]


def _command(facts: Facts, words: list[str], body: object) -> str:
    return f"{shlex.join(words)}{_authorization(facts)} -d {shlex.quote(json.dumps(body))}"


def _authorization(facts: Facts) -> str:
    if facts.api_key:
        return f" -H {shlex.quote(f'Authorization: Bearer {facts.api_key}')}"
    # In double quotes, for the shell to put the key in.
    return ' -H "Authorization: Bearer $MCP_GATEWAY_API_KEY"' if facts.needs_key else ""
