"""The application of the main port: looks at who asks from where, and picks the face."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from mcp_gateway.server.message import JSON, App, HTTPRequest, error_body
from mcp_gateway.server.openai import PREFIX
from mcp_gateway.server.origin import Guard
from mcp_gateway.server.responder import Responder


class Front:
    """Routes by path, once Host and Origin are in order.

    A face that is None is switched off, and its path is like any other that does not exist.

    Attributes:
        guard: checks Host and Origin; may be replaced between two requests.
    """

    def __init__(
        self,
        guard: Guard,
        *,
        path: str,
        mcp: App | None,
        websocket: App | None,
        openai: App | None,
    ) -> None:
        self.guard = guard
        self._path = path
        self._mcp = mcp
        self._websocket = websocket
        self._openai = openai

    def __call__(self, request: HTTPRequest, responder: Responder) -> Coroutine[Any, Any, None]:
        """Return the coroutine that answers: an ordinary function, to cost no extra frame."""
        verdict = self.guard.judge(request)
        responder.extra = verdict.headers
        if verdict.status:
            return _refuse(responder, verdict.status, verdict.message)
        if request.method == "OPTIONS":
            return self._options(request, responder)
        path = request.path
        if path == self._path:
            app = self._websocket if request.websocket else self._mcp
            if app is not None:
                return app(request, responder)
            if self._websocket is not None and self._mcp is None:
                return _refuse(responder, 426, "connect by WebSocket", b"upgrade: websocket\r\n")
        elif path.startswith(PREFIX) and self._openai is not None:
            return self._openai(request, responder)
        return _refuse(responder, 404, "there is nothing at this path")

    async def _options(self, request: HTTPRequest, responder: Responder) -> None:
        preflight = b""
        if responder.extra and b"access-control-request-method" in request.headers:
            preflight = self.guard.preflight(request)
        responder.respond(204, b"allow: GET, POST, OPTIONS\r\n" + preflight)


async def _refuse(responder: Responder, status: int, message: str, extra: bytes = b"") -> None:
    responder.respond(status, JSON + extra, error_body(message, "invalid_request_error"))
