"""What kopf's requests outlast, with its own kind of session and a server that misbehaves."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from mcp_gateway_operator.cluster import Access, Retry
from mcp_gateway_operator.render.kind import GATEWAY

pytestmark = pytest.mark.integration

LIST = GATEWAY.path("ai")
WATCH = f"{LIST}?watch=true"


class Server:
    """Answers with the next status, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.tokens: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers["Authorization"])
        status = self.statuses.pop(0) if self.statuses else 200
        return web.json_response({"kind": "Status", "message": f"says {status}"}, status=status)


class Told:
    """Counts."""

    def __init__(self) -> None:
        self.lists = 0

    def listed(self) -> None:
        self.lists += 1


class Tokens(Access):
    """A way in whose token is a new one each time."""

    count = 0

    def token(self) -> str:
        self.count += 1
        return f"t{self.count}"


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Server, Told, aiohttp.ClientSession]]:
    server, told = Server(), Told()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = site.name
    access = Tokens(server.url, ssl.create_default_context())
    async with Retry(access, GATEWAY, told.listed).session() as session:
        yield server, told, session
    await runner.cleanup()


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_a_kind_that_is_refused_is_asked_for_again(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as (server, _, session):
        server.statuses = [status, status]
        async with session.get(server.url + LIST) as answer:
            assert answer.status == 200
        assert server.tokens == ["Bearer t1", "Bearer t2", "Bearer t3"]
    lines = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert [each.message for each in lines] == [
        "definition missing" if status == 404 else "watch broke"
    ]


async def test_other_refusals_are_an_answer() -> None:
    async with running() as (server, _, session):
        server.statuses = [404]
        async with session.get(f"{server.url}/apis/example.com/v1") as answer:
            assert answer.status == 404
            assert (await answer.json())["message"] == "says 404"


async def test_the_rest_of_an_old_list_is_begun_anew() -> None:
    async with running() as (server, _, session):
        server.statuses = [410]
        with pytest.raises(aiohttp.ClientPayloadError, match="says 410"):
            await session.get(f"{server.url}{LIST}?continue=x")


async def test_a_list_is_told_of_once_its_watch_has_begun() -> None:
    async with running() as (server, told, session):
        for path, lists in ((LIST, 0), (WATCH, 1), (WATCH, 1), (LIST, 1), (WATCH, 2)):
            async with session.get(server.url + path):
                assert told.lists == lists


async def test_a_server_that_is_away_is_waited_for() -> None:
    class Away(Tokens):
        """Nobody listens there before the third try."""

        def token(self) -> str:
            found = super().token()
            if self.count <= 2:
                raise ConnectionRefusedError("nobody there")
            return found

    async with running() as (server, told, _):
        access = Away(server.url, ssl.create_default_context())
        async with (
            Retry(access, GATEWAY, told.listed).session() as session,
            session.get(server.url + LIST) as answer,
        ):
            assert answer.status == 200
        assert server.tokens == ["Bearer t3"]
