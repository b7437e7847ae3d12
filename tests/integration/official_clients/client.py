"""What every official client is asked to do here, and the two ways of asking.

The same tests run against all of them: `sdk2.py` drives the Python SDK of this environment,
`RemoteClient` the programs that live elsewhere, through a driver script that answers one JSON
line per command.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A tool's result, in the words all clients share.

    Attributes:
        text: the text content, joined.
        structured: `structuredContent`.
        failed: `isError`.
        progress: messages of the progress notifications, in order.
    """

    text: str
    structured: dict[str, Any] | None
    failed: bool
    progress: list[str]


class CallFailed(Exception):
    """The client raised an error: JSON-RPC `code` and `data` where it had them."""

    def __init__(self, code: int | None, message: str, data: Any) -> None:
        super().__init__(f"{code}: {message} {data!r}")
        self.code = code
        self.data = data


class OfficialClient(Protocol):
    """One connected client."""

    async def tools(self) -> list[str]:
        """Names from tools/list."""

    async def call(
        self, tool: str, arguments: dict[str, Any], *, progress: bool = False
    ) -> Outcome:
        """Call a tool.

        Raises:
            CallFailed: the client reported an error and no result.
        """

    async def begin(self, tool: str, arguments: dict[str, Any]) -> None:
        """Start a call without waiting for it."""

    async def abandon(self) -> str:
        """Cancel the call that was begun; returns `ended`, or `answered` if it came to an end."""


class Connector(Protocol):
    """Makes a connected client for a gateway's URL."""

    def __call__(self, url: str, key: str) -> AbstractAsyncContextManager[OfficialClient]:
        """Connect on entry, leave on exit."""


class RemoteClient:
    """A client in a process of its own."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed on exit

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._errors,
            limit=1 << 22,
        )
        await self._command("connect")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        try:
            if kind is None:
                await self._command("close")
                async with asyncio.timeout(PATIENCE):
                    await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            self._errors.close()

    def _words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-4000:].decode(errors="replace")

    async def _command(self, do: str, **fields: object) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        if not line:
            raise CallFailed(None, f"the client ended at {do!r}: {self._words()}", None)
        answer: dict[str, Any] = json.loads(line)
        if (error := answer.get("error")) is not None:
            raise CallFailed(error["code"], error["message"], error["data"])
        result: dict[str, Any] = answer["ok"]
        return result

    async def tools(self) -> list[str]:
        """See `OfficialClient.tools`."""
        names: list[str] = (await self._command("tools"))["tools"]
        return names

    async def call(
        self, tool: str, arguments: dict[str, Any], *, progress: bool = False
    ) -> Outcome:
        """See `OfficialClient.call`."""
        fields = {"tool": tool, "arguments": arguments, "progress": progress}
        return Outcome(**await self._command("call", **fields))

    async def begin(self, tool: str, arguments: dict[str, Any]) -> None:
        """See `OfficialClient.begin`."""
        await self._command("begin", tool=tool, arguments=arguments)

    async def abandon(self) -> str:
        """See `OfficialClient.abandon`."""
        outcome: str = (await self._command("abandon"))["call"]
        return outcome
