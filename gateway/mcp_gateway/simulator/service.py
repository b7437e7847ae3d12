"""The simulator itself: a provider on its own port, with accounts that have limits.

It keeps statistics of what every account did, which is what tests and load runs look at: the
most requests ever in flight, and every refusal by cause.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
from pydantic import ValidationError

from mcp_gateway.api.simulator import SimulatorSettings
from mcp_gateway.errors import ConfigError
from mcp_gateway.simulator import http, text
from mcp_gateway.simulator.account import Account
from mcp_gateway.simulator.chat import DEFAULT_MAX_TOKENS, Answer, ChatBody, InvalidChat, decode
from mcp_gateway.simulator.connection import Connection, Request
from mcp_gateway.simulator.credential import Doorkeeper
from mcp_gateway.simulator.law import Law
from mcp_gateway.simulator.settings import Limits, Settings, compiled
from mcp_gateway.simulator.turn import Turn
from mcp_gateway.simulator.wire import WIRES, ErrorReply

BASE_PATHS = {"kimi": "/v1", "glm": "/api/paas/v4"}
"""Where each wire's API begins, as at the vendor; `Simulator.start` returns it in the URL."""

_PREFIXES = {"kimi": ["/v1"], "glm": ["/api/paas/v4", "/api/coding/paas/v4", "/v1"]}
_Handler = Callable[[Request, Connection], None]
_MAX_ACCOUNTS = 10_000
_BACKLOG = 4096


class Simulator:
    """A simulated provider.

    Args:
        settings: what it does; None is Kimi's wire with nothing limited or delayed.
        wall: wall-clock seconds.
    """

    def __init__(
        self,
        settings: SimulatorSettings | Settings | None = None,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._accounts: dict[tuple[str, str], Account] = {}
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._answers = 0
        self.settings = Settings()
        self.configure(settings or self.settings)

    def configure(self, settings: SimulatorSettings | Settings) -> None:
        """Take other settings, from the next request on; the draws begin anew at the seed."""
        if isinstance(settings, SimulatorSettings):
            settings = compiled(settings, self.settings.api_keys)
        self.settings = settings
        self._wire = WIRES[settings.wire]
        self._law = Law(settings)
        self._doorkeeper = Doorkeeper(settings.api_keys, tokens=settings.wire == "glm")
        self._models = frozenset(settings.callable_models)
        self._routes = self._compile_routes()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the base URL a provider is configured with.

        Whoever can connect can call: only loopback unless another host is named.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        assert self._server is None, "a simulator is started once"
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Connection(self), host, port, backlog=_BACKLOG
            )
        except OSError as exc:
            # Negative: a name that could not be resolved, with words of its own.
            number = exc.errno or 0
            reason = os.strerror(number) if number > 0 else exc.strerror or exc
            raise ConfigError(f"the simulator cannot listen on {host}:{port}: {reason}") from exc
        bound = self._server.sockets[0].getsockname()
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        return f"http://{name}:{bound[1]}{BASE_PATHS[self.settings.wire]}"

    async def aclose(self) -> None:
        """Stop listening and drop every connection. Idempotent."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for connection in list(self._connections):
            connection.abort()
        await server.wait_closed()
        # The transports report their end in the loop's next round.
        await asyncio.sleep(0)

    def stats(self) -> dict[str, Any]:
        """What happened: `accounts` by name (on the GLM wire by name and model), and totals.

        An account's name is `credential.account_name` of its key.
        """
        accounts = {
            f"{name}/{model}" if model else name: account.stats()
            for (name, model), account in self._accounts.items()
        }
        counts = ("requests", "answered", "disconnected", "in_flight")
        totals = {count: sum(a[count] for a in accounts.values()) for count in counts}
        return {
            "wire": self.settings.wire,
            "connections": len(self._connections),
            **totals,
            "accounts": accounts,
        }

    def reset_stats(self) -> None:
        """Start counting anew; what is in flight and the windows of the limits stay."""
        for account in self._accounts.values():
            account.reset_stats()

    # connection.Service

    def connected(self, connection: Connection) -> None:
        """See `connection.Service`."""
        self._connections.add(connection)

    def disconnected(self, connection: Connection) -> None:
        """See `connection.Service`."""
        self._connections.discard(connection)

    def handle(self, request: Request, connection: Connection) -> None:
        """See `connection.Service`."""
        handler = self._routes.get((request.method, request.path))
        if handler is None:
            self._refuse(connection, self._not_found(request))
        else:
            handler(request, connection)

    def _compile_routes(self) -> dict[tuple[bytes, bytes], _Handler]:
        routes: dict[tuple[bytes, bytes], _Handler] = {
            (b"GET", b"/simulator/stats"): self._show_stats,
            (b"DELETE", b"/simulator/stats"): self._forget_stats,
            (b"PUT", b"/simulator/settings"): self._take_settings,
        }
        for prefix in _PREFIXES[self.settings.wire]:
            routes[b"POST", f"{prefix}/chat/completions".encode()] = self._chat
            routes[b"GET", f"{prefix}/models".encode()] = self._list_models
        return routes

    def _chat(self, request: Request, connection: Connection) -> None:
        wall = self._wall()
        name = self._doorkeeper.account(request.authorization, wall)
        if name is None:
            given = bool(request.authorization)
            self._refuse(connection, self._wire.unauthenticated(given=given))
            return
        try:
            chat = decode(request.body)
        except InvalidChat as exc:
            self._refuse(connection, self._wire.invalid(str(exc)))
            return
        if chat.model not in self._models:
            self._refuse(connection, self._wire.unknown_model(chat.model))
            return
        self._admit(chat, text.estimate_tokens(len(request.body)), name, wall, connection)

    def _admit(
        self, chat: ChatBody, prompt_tokens: int, name: str, wall: float, connection: Connection
    ) -> None:
        account, limits = self._account(name, chat.model)
        account.requests += 1
        law, now = self._law, asyncio.get_running_loop().time()
        failure = law.failure()
        if failure is not None and failure.refuses:
            account.count_failure(failure)
            headers = self._wire.headers(account, limits, now, wall)
            self._refuse(connection, self._wire.failed(failure, wall), headers)
            return
        denial = account.enter(limits, now, prompt_tokens + (chat.limit or DEFAULT_MAX_TOKENS))
        headers = self._wire.headers(account, limits, now, wall)
        if denial is not None:
            if denial.cause == "concurrency":
                denial = replace(denial, retry_after=self.settings.retry_after)
            self._refuse(connection, self._wire.denied(denial, name), headers)
            return
        self._answers += 1
        answer = Answer(
            chat,
            number=self._answers,
            wire=self._wire,
            prompt_tokens=prompt_tokens,
            length=law.tokens(),
            created=wall,
        )
        turn = Turn(
            connection,
            account,
            answer,
            headers=headers,
            first_token=law.first_token(),
            per_token=law.per_token(),
            failure=failure,
        )
        connection.start(turn, stream=bool(chat.stream))

    def _account(self, name: str, model: str) -> tuple[Account, Limits]:
        settings = self.settings
        limits = settings.by_model.get(model)
        own = limits is not None or self._wire.per_model
        key = (name, model if own else "")
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= _MAX_ACCOUNTS:
                self._forget_idle_account()
            account = self._accounts[key] = Account()
        return account, limits or settings.limits

    def _forget_idle_account(self) -> None:
        idle = (key for key, account in self._accounts.items() if not account.in_flight)
        self._accounts.pop(next(idle, ("", "")), None)

    def _refuse(self, connection: Connection, reply: ErrorReply, headers: bytes = b"") -> None:
        data = http.response(reply.status, reply.body, headers, reply.content_type)
        connection.respond_after(self._law.refusal(), data)

    def _not_found(self, request: Request) -> ErrorReply:
        path = request.path.decode("latin-1")[:200]
        message = f"no such path here: {path}; this is the {self.settings.wire} wire"
        return ErrorReply(404, msgspec.json.encode({"error": {"message": message}}))

    def _list_models(self, request: Request, connection: Connection) -> None:
        wall = self._wall()
        if self._doorkeeper.account(request.authorization, wall) is None:
            given = bool(request.authorization)
            self._refuse(connection, self._wire.unauthenticated(given=given))
            return
        owner = {"kimi": "moonshot", "glm": "z-ai"}[self.settings.wire]
        data = [
            {"id": model, "object": "model", "created": 1_700_000_000, "owned_by": owner}
            for model in self.settings.callable_models
        ]
        _respond(connection, 200, {"object": "list", "data": data})

    # control, for people and load tests on the same machine

    def _show_stats(self, request: Request, connection: Connection) -> None:
        if _is_local(connection):
            _respond(connection, 200, self.stats())

    def _forget_stats(self, request: Request, connection: Connection) -> None:
        if _is_local(connection):
            self.reset_stats()
            _respond(connection, 200, {})

    def _take_settings(self, request: Request, connection: Connection) -> None:
        if not _is_local(connection):
            return
        try:
            settings = SimulatorSettings.model_validate_json(request.body)
        except ValidationError as exc:
            problems = exc.errors(include_url=False, include_context=False, include_input=False)
            _respond(connection, 422, {"problems": problems})
            return
        self.configure(settings)
        _respond(connection, 200, settings.model_dump(mode="json", by_alias=True))


def _is_local(connection: Connection) -> bool:
    """Whether the client is on this machine; answers 403 where it is not."""
    try:
        local = ipaddress.ip_address(connection.peer).is_loopback
    except ValueError:
        local = False
    if not local:
        error = {"message": "the simulator is steered from its own machine only"}
        _respond(connection, 403, {"error": error})
    return local


def _respond(connection: Connection, status: int, document: Any) -> None:
    connection.respond(http.response(status, msgspec.json.encode(document)))
