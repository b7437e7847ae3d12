"""MCPGateway: one gateway in front of LLM providers, spoken to in MCP or in OpenAI's wire."""

__version__ = "0.1.0"
