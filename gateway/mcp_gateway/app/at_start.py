"""Settings that are read when a process starts, and at no other time."""

from __future__ import annotations

from pydantic.alias_generators import to_camel

from mcp_gateway.api import Server

_AT_START = (
    "host",
    "port",
    "admin_host",
    "admin_port",
    "path",
    "websocket",
    "http",
    "openai",
    "tls",
)
"""Fields of `spec.server` that hold until the process ends."""


def changed_in_vain(opened: Server, server: Server) -> list[str]:
    """Paths of the settings in which a document differs from what the ports were opened by."""
    return [
        f"spec.server.{to_camel(name)}"
        for name in _AT_START
        if getattr(server, name) != getattr(opened, name)
    ]
