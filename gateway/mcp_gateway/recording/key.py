"""Keys for the database: what one may do, and how to make one that may do little.

PostgREST takes a JSON Web Token and becomes the role that its claim `role` names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec

from mcp_gateway.recording.schema import WRITER_ROLE


def writer_key(secret: str, *, issued: float, lifetime: float) -> str:
    """Make a key of the writer's role: a JSON Web Token signed with HMAC-SHA256.

    Args:
        secret: the secret that PostgREST checks tokens with; of a Supabase project, its JWT
            secret.
        issued: epoch seconds now.
        lifetime: seconds until the key is void.

    Raises:
        ValueError: the secret is shorter than the 32 bytes that the algorithm asks for
            (RFC 7518 §3.2).
    """
    if len(secret.encode()) < 32:
        raise ValueError("expected the project's JWT secret, which has at least 32 characters")
    claims = {"role": WRITER_ROLE, "iss": "mcp-gateway", "iat": int(issued)}
    claims["exp"] = int(issued + lifetime)
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    digest = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64(digest)}"


def can_read(key: str) -> bool:
    """Whether a key is a service role's, which row-level security does not bind."""
    if key.startswith("sb_secret_"):
        return True
    parts = key.split(".")
    if len(parts) != 3:
        return False
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=="))
    except ValueError:  # msgspec's and base64's errors are ValueErrors
        return False
    return isinstance(claims, dict) and claims.get("role") == "service_role"


def _part(value: object) -> str:
    return _base64(msgspec.json.encode(value))


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
