"""Python clients of a running gateway, asynchronous and blocking."""

from mcp_gateway.client.answer import Model
from mcp_gateway.client.client import Client
from mcp_gateway.client.stream import ChatStream
from mcp_gateway.client.sync import SyncChatStream, SyncClient

__all__ = ["ChatStream", "Client", "Model", "SyncChatStream", "SyncClient"]
