"""A gateway in front of a simulated provider, to be run on the test's own loop."""

from __future__ import annotations

from typing import Any

from mcp_gateway.api import MCPGateway
from mcp_gateway.app import Gateway
from mcp_gateway.config import client_keys
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.simulator import Latency, LogNormal, Settings

SETTINGS = Settings(
    models=("slow", "fast"),
    latency=Latency(per_token=LogNormal(0.001)),
    answer_tokens=LogNormal(40.0),
)
KEY, LINE = client_keys.create("alice", models="slow|fast|gone|other")


def document(url: str, **server: Any) -> MCPGateway:
    return MCPGateway.model_validate(
        {
            "apiVersion": "gateway.exai.dev/v1alpha1",
            "kind": "MCPGateway",
            "spec": {
                "server": {"host": "127.0.0.1", "port": 0, "adminPort": 0, **server},
                "auth": {"apiKeys": {"env": "KEYS"}},
                "providers": [
                    {
                        "name": "kimi",
                        "type": "kimi",
                        "endpoints": [{"url": url}],
                        "apiKey": {"env": "KIMI"},
                        "pool": {"maxConnections": 200},
                    }
                ],
                "routes": [
                    {
                        "name": "all",
                        "match": {"model": "slow|fast|gone"},
                        "backends": [{"provider": "kimi"}],
                    }
                ],
                "recording": {"enabled": False},
                "logging": {"level": "error"},
            },
        }
    )


def gateway(url: str, **server: Any) -> Gateway:
    return Gateway(
        document(url, **server), secrets=SecretReader(None, {"KEYS": LINE, "KIMI": "sk-test"})
    )
