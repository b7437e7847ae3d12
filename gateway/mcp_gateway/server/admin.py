"""The admin port: probes, metrics, the picture of now, and the two things that can be changed.

`/livez`, `/readyz` and `/metrics` answer anybody, for the kubelet and Prometheus have no token.
Everything else needs the admin token; where none is configured it is answered on loopback only,
and there only to a request that names a loopback host, so that no web page can ask for it
through its visitor's browser.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

import msgspec

from mcp_gateway.config.problem import InvalidDocument
from mcp_gateway.errors import ConfigError
from mcp_gateway.server import page
from mcp_gateway.server.backend import AdminBackend
from mcp_gateway.server.message import HTML, JSON, TEXT, HTTPRequest, error_body
from mcp_gateway.server.origin import Guard, is_loopback_name
from mcp_gateway.server.responder import Responder
from mcp_gateway.telemetry.metrics import CONTENT_TYPE

LOGGER = logging.getLogger(__name__)

_METRICS = b"content-type: " + CONTENT_TYPE.encode() + b"\r\n"
_NO_STORE = b"cache-control: no-store\r\n"
_CHALLENGES = b'www-authenticate: Bearer realm="admin"\r\nwww-authenticate: Basic realm="admin"\r\n'

Apply = Callable[[bytes], Awaitable[dict[str, Any]]]


class AdminFace:
    """The application of the admin port."""

    def __init__(self, backend: AdminBackend, guard: Guard, token: str | None = None) -> None:
        """Prepare.

        Args:
            backend: the gateway.
            guard: checks Host and Origin.
            token: the admin token; None where there is none.
        """
        self._backend = backend
        self._guard = guard
        self._digest = _digest(token)
        # One change at a time, in the order they came: the last one asked for is in force.
        self._changing = asyncio.Lock()

    async def __call__(self, request: HTTPRequest, responder: Responder) -> None:
        """Answer one request."""
        read = request.method in {"GET", "HEAD"}
        if read and request.path == "/livez":
            responder.respond(200, TEXT + _NO_STORE, b"ok\n")
        elif read and request.path == "/readyz":
            ready, why = self._backend.ready()
            body = msgspec.json.encode({"ready": ready, **why})
            responder.respond(200 if ready else 503, JSON + _NO_STORE, body)
        elif read and request.path == "/metrics":
            responder.respond(200, _METRICS + _NO_STORE, self._backend.metrics())
        elif self._admitted(request, responder):
            await self._guarded(request, responder, read=read)

    def change_token(self, token: str | None) -> None:
        """Ask for another token from the next request on."""
        self._digest = _digest(token)

    async def _guarded(self, request: HTTPRequest, responder: Responder, *, read: bool) -> None:
        path = request.path
        if path == "/" and read:
            body, policy = page.render(self._backend.status())
            responder.respond(200, HTML + _NO_STORE + policy, body)
        elif path == "/status" and read:
            body = msgspec.json.encode(self._backend.status(), enc_hook=str)
            responder.respond(200, JSON + _NO_STORE, body)
        elif path == "/config" and request.method == "PUT":
            await self._change(self._backend.apply_config, request, responder)
        elif path == "/limits" and request.method == "PUT":
            await self._change(self._backend.apply_limits, request, responder)
        elif path in {"/config", "/limits"}:
            _refuse(responder, 405, "PUT it", b"allow: PUT\r\n")
        elif path in {"/", "/status", "/livez", "/readyz", "/metrics"}:
            _refuse(responder, 405, "GET it", b"allow: GET\r\n")
        else:
            _refuse(responder, 404, "there is nothing at this path")

    async def _change(self, apply: Apply, request: HTTPRequest, responder: Responder) -> None:
        fields = {"path": request.path, "peer": request.peer}
        try:
            async with self._changing:
                result = await apply(request.body)
        except ConfigError as error:
            LOGGER.warning("change refused", extra={"fields": fields})
            responder.respond(400, JSON, _problems(error))
            return
        LOGGER.info("change applied", extra={"fields": fields})
        responder.respond(200, JSON, msgspec.json.encode(result, enc_hook=str))

    def _admitted(self, request: HTTPRequest, responder: Responder) -> bool:
        verdict = self._guard.judge(request)
        if verdict.status:
            _refuse(responder, verdict.status, verdict.message)
            return False
        origin = request.headers.get(b"origin")
        host = request.headers.get(b"host", b"")
        if origin is not None and origin.partition(b"://")[2].lower() != host.lower():
            _refuse(responder, 403, "pages of other origins may not call the admin port")
            return False
        if self._digest is not None:
            if not hmac.compare_digest(sha256(_token(request)).digest(), self._digest):
                _refuse(responder, 401, "the admin token is needed", _CHALLENGES)
                return False
        elif not (_is_loopback(request.peer) and is_loopback_name(host)):
            text = "no admin token is configured (spec.server.adminToken): loopback only"
            _refuse(responder, 403, text)
            return False
        return True


def _digest(token: str | None) -> bytes | None:
    # Digests are compared, so that neither the token's length nor its first bytes leak by time.
    return None if token is None else sha256(token.encode()).digest()


def _token(request: HTTPRequest) -> bytes:
    """The bearer token, or the password of Basic, which is what a browser can ask for."""
    authorization = request.headers.get(b"authorization", b"")
    scheme, _, value = authorization.partition(b" ")
    value = value.strip()
    if scheme.lower() == b"basic":
        try:
            value = base64.b64decode(value, validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    elif scheme.lower() != b"bearer":
        return b""
    return value


def _is_loopback(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(re.sub("%.*", "", peer))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _problems(error: ConfigError) -> bytes:
    problems = []
    if isinstance(error, InvalidDocument):
        problems = [
            {
                "path": problem.path,
                "message": problem.message,
                "expected": problem.expected,
                "line": problem.line,
                "severity": problem.severity,
            }
            for problem in error.problems
        ]
    described = {"message": str(error), "type": "invalid_request_error", "param": None}
    return msgspec.json.encode({"error": {**described, "code": error.reason}, "problems": problems})


def _refuse(responder: Responder, status: int, message: str, extra: bytes = b"") -> None:
    responder.respond(status, JSON + extra, error_body(message, "invalid_request_error"))
