"""Drives `mcp` 1.x for the tests, in an environment of its own: see `driver.mjs` for the commands.

Arguments: transport (http | websocket), URL, and optionally a bearer token (http only: this
client's WebSocket cannot send headers). Imports nothing of the project.
"""

# This file is run by another interpreter with other packages; mypy sees neither.
# mypy: ignore-errors

import asyncio
import contextlib
import json
import sys
import warnings

warnings.simplefilter("ignore")

from mcp import ClientSession, McpError, types  # noqa: E402
from mcp.client.streamable_http import streamablehttp_client  # noqa: E402
from mcp.client.websocket import websocket_client  # noqa: E402


@contextlib.asynccontextmanager
async def connected(transport, url, key):
    if transport == "websocket":
        async with websocket_client(url) as (read, write), ClientSession(read, write) as session:
            yield session
        return
    headers = {"Authorization": f"Bearer {key}"} if key else None
    async with (
        streamablehttp_client(url, headers=headers) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        yield session


class Driver:
    def __init__(self, session):
        self.session = session
        self.running = None

    async def connect(self, _):
        found = await self.session.initialize()
        return {
            "server": found.serverInfo.model_dump(mode="json"),
            "capabilities": found.capabilities.model_dump(mode="json", exclude_none=True),
        }

    async def tools(self, _):
        return {"tools": [tool.name for tool in (await self.session.list_tools()).tools]}

    async def call(self, command):
        pieces = []

        async def progress(_progress, _total, message):
            pieces.append(message or "")

        result = await self.session.call_tool(
            command["tool"],
            command["arguments"],
            progress_callback=progress if command.get("progress") else None,
        )
        return {
            "text": "".join(getattr(part, "text", "") for part in result.content),
            "structured": result.structuredContent,
            "failed": bool(result.isError),
            "progress": pieces,
        }

    async def begin(self, command):
        # This client has no call for cancelling: the id of the next request is its counter's.
        self.request_id = self.session._request_id
        self.running = asyncio.create_task(self.call(command), name="call")
        return {}

    async def abandon(self, _):
        params = types.CancelledNotificationParams(requestId=self.request_id, reason="a test")
        notice = types.CancelledNotification(params=params)
        await self.session.send_notification(types.ClientNotification(notice))
        self.running.cancel()
        outcome = await asyncio.gather(self.running, return_exceptions=True)
        return {"call": "answered" if isinstance(outcome[0], dict) else "ended"}


async def main():
    transport, url, *rest = sys.argv[1:]
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with connected(transport, url, rest[0] if rest else "") as session:
        driver = Driver(session)
        while line := await lines.readline():
            command = json.loads(line)
            if command["do"] == "close":
                break
            try:
                answer = {"ok": await getattr(driver, command["do"])(command)}
            except McpError as error:
                answer = {"error": error.error.model_dump(mode="json")}
            except Exception as error:
                answer = {"error": {"code": None, "message": repr(error), "data": None}}
            print(json.dumps(answer), flush=True)
    print(json.dumps({"ok": {}}), flush=True)


asyncio.run(main())
