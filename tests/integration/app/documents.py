"""Documents for the tests of the whole gateway."""

from __future__ import annotations

from typing import Any

from mcp_gateway.api import ChatRequest, MCPGateway

FAST: dict[str, Any] = {
    "latency": {"firstToken": {"median": "0s"}, "perToken": {"median": "0s"}},
    "answerTokens": {"median": 20, "sigma": 0.0},
}
SLOW: dict[str, Any] = {
    "latency": {"firstToken": {"median": "0s"}, "perToken": {"median": "20ms"}},
    "answerTokens": {"median": 30, "sigma": 0.0},
}


def simulated(name: str, wire: str = "kimi", **settings: Any) -> dict[str, Any]:
    """A provider that is simulated inside the gateway, without latency unless told."""
    return {"name": name, "type": "simulator", "simulator": {"wire": wire, **FAST, **settings}}


def document(*providers: dict[str, Any], **spec: Any) -> MCPGateway:
    """A document on loopback ports that the system chooses, without credentials."""
    server = {"host": "127.0.0.1", "port": 0, "adminPort": 0, "shutdownGrace": "5s"}
    return MCPGateway.model_validate(
        {
            "metadata": {"name": "test"},
            "spec": {
                "server": {**server, **spec.pop("server", {})},
                "auth": spec.pop("auth", {"anonymous": True}),
                "providers": list(providers) or [simulated("kimi")],
                **spec,
            },
        },
        context={"document": True},
    )


def hello(text: str = "Hello!", **more: Any) -> ChatRequest:
    """A chat request to the simulated kimi."""
    settings = {"model": "kimi-k2.6", "messages": [{"role": "user", "content": text}], **more}
    return ChatRequest(**settings)
