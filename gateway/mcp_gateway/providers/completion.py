"""The OpenAI chat wire as far as the gateway reads it, and how a stream becomes an answer.

Only what is counted or passed to people is decoded; the rest of a provider's JSON travels as
the bytes that came. Text that a provider leaves out or sends as `null` reads as empty.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mcp_gateway.errors import RemoteProtocolError
from mcp_gateway.providers.base import ChatAnswer, StreamEvent

DONE = b"[DONE]"
STREAM_LIMIT = 64 * 1024 * 1024
"""Bytes of events in one streamed answer; more is taken for a provider gone wrong."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are not JSON, not UTF-8, or nested without end."""

# A union with Raw takes null only, so `null` and a missing field are told by their bytes.
_ABSENT = msgspec.Raw()
_EMPTY = (b"", b"null", b"[]")


class Usage(msgspec.Struct, gc=False):
    """Tokens as the provider counted them."""

    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0


class Part(msgspec.Struct, gc=False):
    """A piece of a message whose content is a list."""

    text: str | None = None


class Message(msgspec.Struct, gc=False):
    """The message of a whole answer."""

    content: str | list[Part] | None = None
    reasoning_content: str | None = None
    tool_calls: msgspec.Raw = _ABSENT


class Choice(msgspec.Struct, gc=False):
    """One of the alternatives of a whole answer; the gateway reads the first."""

    message: Message
    finish_reason: str | None = None


class Completion(msgspec.Struct, gc=False):
    """A whole answer, or the error object some servers send under status 200."""

    choices: list[Choice] = []
    model: str | None = None
    usage: Usage | None = None
    error: msgspec.Raw = _ABSENT


class FunctionDelta(msgspec.Struct, gc=False):
    """A piece of a function call."""

    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(msgspec.Struct, gc=False):
    """A piece of the tool call number `index`."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionDelta | None = None


class Delta(msgspec.Struct, gc=False):
    """What one event adds to the message."""

    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class ChunkChoice(msgspec.Struct, gc=False):
    """One alternative's share of an event. Kimi puts the usage here, in the last one."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    usage: Usage | None = None


class Chunk(msgspec.Struct, gc=False):
    """One event of a stream."""

    choices: list[ChunkChoice] = []
    model: str | None = None
    usage: Usage | None = None
    error: msgspec.Raw = _ABSENT


class ModelEntry(msgspec.Struct, gc=False):
    """One line of `GET /models`."""

    id: str


class ModelList(msgspec.Struct, gc=False):
    """The answer to `GET /models`."""

    data: list[ModelEntry] = []


class StreamError(Exception):
    """An event of a stream was an error object; `body` is the event's JSON."""

    def __init__(self, body: bytes) -> None:
        super().__init__("the stream carried an error object")
        self.body = body


_completion_decoder = msgspec.json.Decoder(Completion)
_chunk_decoder = msgspec.json.Decoder(Chunk)
_models_decoder = msgspec.json.Decoder(ModelList)


def decode_completion(body: bytes) -> ChatAnswer | None:
    """Read a whole answer; None when it is an error object under status 200.

    Raises:
        RemoteProtocolError: the body is not a chat completion.
    """
    try:
        completion = _completion_decoder.decode(body)
    except UNREADABLE as exc:
        raise RemoteProtocolError(f"expected a chat completion, got: {_reason(exc)}") from exc
    if not completion.choices:
        if bytes(completion.error) not in _EMPTY:
            return None
        raise RemoteProtocolError("expected a chat completion, got one without choices")
    choice = completion.choices[0]
    message, usage = choice.message, completion.usage
    if bytes(message.tool_calls) not in _EMPTY:
        _check_text(message.tool_calls)
    return ChatAnswer(
        body=body,
        content=_text(message.content),
        reasoning=message.reasoning_content or "",
        finish_reason=choice.finish_reason or "",
        tool_calls=None if bytes(message.tool_calls) in _EMPTY else message.tool_calls,
        model=completion.model or "",
        prompt_tokens=(usage.prompt_tokens or 0) if usage else 0,
        completion_tokens=(usage.completion_tokens or 0) if usage else 0,
    )


def decode_models(body: bytes) -> list[str]:
    """Read the names in the answer to `GET /models`.

    Raises:
        RemoteProtocolError: the body is not a list of models.
    """
    try:
        return [entry.id for entry in _models_decoder.decode(body).data]
    except UNREADABLE as exc:
        raise RemoteProtocolError(f"expected a list of models, got: {_reason(exc)}") from exc


class StreamAssembly:
    """Makes one answer of the events of a stream.

    `finished` turns true with the first choice's finish reason, `done` with the end marker; a
    stream that ends with neither was cut off.
    """

    __slots__ = (
        "_completion", "_content", "_finish", "_model", "_prompt", "_reasoning", "_size",
        "_tools", "done", "finished",
    )  # fmt: skip

    def __init__(self) -> None:
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._tools: dict[int, dict[str, Any]] = {}
        self._finish = ""
        self._model = ""
        self._prompt = 0
        self._completion = 0
        self._size = 0
        self.finished = False
        self.done = False

    def add(self, data: bytes) -> StreamEvent:
        """Take one event's JSON, or the end marker.

        Raises:
            StreamError: the event is an error object.
            RemoteProtocolError: the event is neither a chunk nor an error.
        """
        if data == DONE:
            self.done = True
            return StreamEvent(data)
        self._size += len(data)
        if self._size > STREAM_LIMIT:
            raise RemoteProtocolError(f"expected at most {STREAM_LIMIT} bytes of events")
        try:
            chunk = _chunk_decoder.decode(data)
        except UNREADABLE as exc:
            message = f"expected a chunk of a chat completion, got: {_reason(exc)}"
            raise RemoteProtocolError(message) from exc
        if bytes(chunk.error) not in _EMPTY:
            raise StreamError(data)
        if not self._model and chunk.model:
            self._model = chunk.model
        if chunk.usage is not None:
            self._count(chunk.usage)
        event = StreamEvent(data)
        for choice in chunk.choices:
            if choice.index == 0:
                self._extend(choice, event)
        return event

    def answer(self) -> ChatAnswer:
        """The answer as far as it came."""
        tools = None
        if self._tools:
            calls = [self._tools[index] for index in sorted(self._tools)]
            tools = msgspec.Raw(msgspec.json.encode(calls))
        return ChatAnswer(
            content="".join(self._content),
            reasoning="".join(self._reasoning),
            finish_reason=self._finish,
            tool_calls=tools,
            model=self._model,
            prompt_tokens=self._prompt,
            completion_tokens=self._completion,
        )

    def _extend(self, choice: ChunkChoice, event: StreamEvent) -> None:
        delta = choice.delta
        if delta is not None:
            if delta.content:
                event.content = delta.content
                self._content.append(delta.content)
            if delta.reasoning_content:
                event.reasoning = delta.reasoning_content
                self._reasoning.append(delta.reasoning_content)
            if delta.tool_calls:
                for piece in delta.tool_calls:
                    self._add_tool_call(piece)
        if choice.finish_reason:
            self._finish = choice.finish_reason
            self.finished = True
        if choice.usage is not None:
            self._count(choice.usage)

    def _add_tool_call(self, piece: ToolCallDelta) -> None:
        # A piece without an index belongs to the call under way, unless it brings a new id.
        index = piece.index
        if index is None:
            index = len(self._tools) if piece.id or not self._tools else max(self._tools)
        call = self._tools.setdefault(
            index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        if piece.id:
            call["id"] = piece.id
        if piece.type:
            call["type"] = piece.type
        if piece.function is not None:
            function = call["function"]
            function["name"] = piece.function.name or function["name"]
            function["arguments"] += piece.function.arguments or ""

    def _count(self, usage: Usage) -> None:
        # Some servers report a running count in every event: the last one is the truth.
        self._prompt = usage.prompt_tokens or self._prompt
        self._completion = usage.completion_tokens or self._completion


def usage_only(event: StreamEvent) -> bool:
    """Whether an event carries nothing but the usage.

    OpenAI's API sends such an event, with an empty `choices`, when `include_usage` was asked
    for. A client that did not ask would stumble over it.
    """
    return (
        not event.content
        and not event.reasoning
        and event.data != DONE
        and not _chunk_decoder.decode(event.data).choices
    )


def _text(content: str | list[Part] | None) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.text or "" for part in content or ())


def _check_text(raw: msgspec.Raw) -> None:
    """Look at what is passed on undecoded: a message of ours must be UTF-8 all through."""
    try:
        bytes(raw).decode()
    except UnicodeDecodeError as exc:
        raise RemoteProtocolError("expected tool calls in UTF-8") from exc


def _reason(exc: Exception) -> str:
    # A decoder's message names a position and a type, never the data itself.
    return str(exc)[:200]
