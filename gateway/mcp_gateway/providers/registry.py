"""Makes the provider that a document describes. A new type is a line here."""

from __future__ import annotations

from collections.abc import Callable

from mcp_gateway.api.provider import Provider as Description
from mcp_gateway.providers.base import Provider
from mcp_gateway.providers.credential import BearerKey, Credential, SignedToken
from mcp_gateway.providers.glm import GLMProvider
from mcp_gateway.providers.kimi import KimiProvider
from mcp_gateway.providers.openai_chat import OpenAIChatProvider

SIMULATED_KEY = "simulated"
"""The key of a simulated account where the document names none: it has an account per key, and
like the real ones answers 401 to a request without one."""


def build(description: Description, api_key: str | None, clock: Callable[[], float]) -> Provider:
    """Make a provider.

    Args:
        description: the provider as the document has it.
        api_key: its key; None where the document names none.
        clock: wall-clock seconds.

    Raises:
        ConfigError: the key is not of the form that the provider needs.
    """
    if description.type == "simulator":
        api_key = api_key or SIMULATED_KEY
    credential: Credential = BearerKey(api_key)
    if api_key and description.key_format == "jwt":
        credential = SignedToken(api_key, clock)
    name, models = description.name, description.models
    if description.wire == "glm":
        return GLMProvider(name, credential, clock=clock, models=models)
    if description.wire == "kimi":
        return KimiProvider(name, credential, clock=clock, models=models)
    return OpenAIChatProvider(name, credential, clock=clock, models=models)
