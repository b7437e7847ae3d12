"""Which account a provider is: the same wherever the same credential is used."""

from __future__ import annotations

from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from mcp_gateway.api import Provider

DIGITS: Final = 16
"""Hexadecimal digits of an identity: enough to tell accounts apart, too few to say more."""

_PORTS: Final = {"http": 80, "https": 443}


def account_identity(provider: Provider, key: str | None, process: str) -> str:
    """A digest of the provider's origin and the credential in use.

    Args:
        provider: with its addresses in place.
        key: the credential; None where there is none.
        process: what tells this process from others: a simulated provider is its own.
    """
    if provider.type == "simulator":
        origin, credential = f"simulator://{provider.name}", process
    else:
        url = urlsplit(provider.effective_endpoints()[0].url)
        port = url.port or _PORTS.get(url.scheme, 0)
        origin, credential = f"{url.scheme}://{url.hostname}:{port}", key or ""
    return sha256(f"{origin}\0{credential}".encode()).hexdigest()[:DIGITS]
