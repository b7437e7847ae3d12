"""The Secrets of a gateway: keys it names, its control port's, and a first client's.

Rendered from data that is given: making keys and certificates is nobody's pure function.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from mcp_gateway_operator.render.gateway import SOURCES, Gateway

CONTROL_SUFFIX: Final = "-control"
SECRETS_SUFFIX: Final = "-secrets"
CLIENT_SUFFIX: Final = "-client"
_LONGEST_KEY: Final = 253


def compiled(gateway: Gateway, data: Mapping[str, bytes], sources: str) -> dict[str, Any]:
    """NAME-secrets: the keys that the document names, out of all the Secrets that hold them.

    Args:
        gateway: whose they are.
        data: by `data_key`.
        sources: which key came from which version of which Secret, to see that one changed.
    """
    return _secret(gateway, SECRETS_SUFFIX, data, {SOURCES: sources})


def control(gateway: Gateway, data: Mapping[str, bytes]) -> dict[str, Any]:
    """NAME-control: token and certificates of the control port."""
    return _secret(gateway, CONTROL_SUFFIX, data, {})


def client(gateway: Gateway, key: str) -> dict[str, Any]:
    """NAME-client: a key for clients where the document asks for one and names none.

    Its `api-key` is what a client sends; its `keys` is what the gateway keeps.
    """
    line = f"{gateway.name} sha256:{hashlib.sha256(key.encode()).hexdigest()}\n"
    data = {"api-key": key.encode(), "keys": line.encode()}
    return _secret(gateway, CLIENT_SUFFIX, data, {})


def client_key_source(gateway: Gateway) -> dict[str, Any]:
    """Where the document of such a gateway reads that key's digest from."""
    return {"secretRef": {"name": gateway.name + CLIENT_SUFFIX, "key": "keys"}}


def references(gateway: Gateway) -> list[tuple[str, str]]:
    """The (Secret, key) pairs that pods are given, the operator's own among them."""
    found = gateway.secret_references()
    if gateway.needs_client_key:
        found.append((gateway.name + CLIENT_SUFFIX, "keys"))
    return sorted(found)


def data_key(name: str, key: str) -> str:
    """Key in NAME-secrets for one key of a Secret.

    No Secret's name has two dots in a row, so no two pairs meet; a pair too long for a key goes
    by its digest.
    """
    joined = f"{name}..{key}"
    if len(joined) > _LONGEST_KEY:
        return hashlib.sha256(joined.encode()).hexdigest()
    return joined


def _secret(
    gateway: Gateway, suffix: str, data: Mapping[str, bytes], annotations: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": gateway.metadata(suffix, annotations),
        "type": "Opaque",
        "data": {key: base64.b64encode(data[key]).decode() for key in sorted(data)},
    }
