"""The composition root: the one place that knows every room."""

from mcp_gateway.app.gateway import Gateway

__all__ = ["Gateway"]
