"""A chat request as the simulator reads it, and the bytes of its answer, whole or in events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from mcp_gateway.simulator import text
from mcp_gateway.simulator.wire import Wire

DEFAULT_MAX_TOKENS = 1024
"""What a request that names no maximum is charged with, as Kimi's platform does."""

DONE = b"data: [DONE]\n\n"
"""The last event of a stream."""

REASONING = "The user said something. I am a simulator, so I shall repeat it and add some prose."


class InvalidChat(Exception):
    """The body is not a chat request; the message says what was expected."""


class _Message(msgspec.Struct):
    role: str
    content: str | list[msgspec.Raw] | None = None
    tool_calls: list[msgspec.Raw] | None = None
    reasoning_content: str | None = None


class _Thinking(msgspec.Struct):
    type: str = "disabled"


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class ChatBody(msgspec.Struct):
    """The fields that the simulator looks at."""

    model: str
    messages: list[_Message]
    stream: bool | None = False
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stream_options: _StreamOptions | None = None
    thinking: _Thinking | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None

    @property
    def limit(self) -> int | None:
        """The answer's longest length, where the request names one."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def thinks(self) -> bool:
        """The answer is to carry its reasoning."""
        return self.thinking is not None and self.thinking.type == "enabled"

    @property
    def prompt(self) -> str:
        """The text of the last message."""
        content = self.messages[-1].content
        if isinstance(content, str):
            return content
        return " ".join(_text_of(part) for part in content or ())


_decoder = msgspec.json.Decoder(ChatBody)


def decode(body: bytes) -> ChatBody:
    """Read a request's body.

    Raises:
        InvalidChat: it is not one.
    """
    try:
        chat = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidChat(str(exc)) from exc
    if not chat.messages:
        raise InvalidChat("messages must not be empty")
    if chat.limit is not None and chat.limit < 1:
        raise InvalidChat("max_tokens must be at least 1")
    if chat.thinks:
        _check_reasoning(chat.messages)
    return chat


class Answer:
    """The answer to one chat request, not yet framed.

    Args:
        chat: the request.
        number: of the answer, for its id.
        wire: whose form it takes.
        prompt_tokens: of the request.
        length: tokens drawn for the answer's text.
        created: wall-clock seconds.
    """

    __slots__ = ("_chat", "_created", "_finish", "_number", "_tool", "_wire",
                 "completion_tokens", "prompt_tokens", "reasoning", "tokens")  # fmt: skip

    def __init__(
        self,
        chat: ChatBody,
        *,
        number: int,
        wire: Wire,
        prompt_tokens: int,
        length: int,
        created: float,
    ) -> None:
        self._chat, self._number, self._wire = chat, number, wire
        self._created = int(created)
        self._tool = _chosen_tool(chat) if chat.tools else None
        self.prompt_tokens = prompt_tokens
        self.reasoning: list[bytes] = []
        if chat.thinks:
            self.reasoning = [text.bare(word) for word in _words(REASONING)]
        limit = chat.limit
        cut = limit is not None and limit < length
        self.tokens = text.compose(chat.prompt, length)[: limit if cut else None]
        self._finish = b'"length"' if cut else b'"stop"'
        if self._tool is not None:
            self.tokens = [text.bare(_arguments(self._tool, chat.prompt))]
            self._finish = b'"tool_calls"'
        self.completion_tokens = len(self.reasoning) + len(self.tokens)

    def body(self) -> bytes:
        """The whole answer's JSON."""
        return (
            b'{"id":"chatcmpl-%024x","object":"chat.completion","created":%d,"model":%b,'
            b'"choices":[{"index":0,"message":{"role":"assistant",%b},"finish_reason":%b}],'
            b'"usage":%b}'
        ) % (
            self._number,
            self._created,
            msgspec.json.encode(self._chat.model),
            self._message(),
            self._finish,
            self._usage(),
        )

    def events(self) -> Iterator[bytes]:
        """The stream's events, framed for SSE, one for each token and those around them."""
        begin = (
            b'data: {"id":"chatcmpl-%024x","object":"chat.completion.chunk","created":%d,'
            b'"model":%b,"choices":[{"index":0,"delta":{'
        ) % (self._number, self._created, msgspec.json.encode(self._chat.model))
        end = b'},"finish_reason":null}]}\n\n'
        role = b"" if self._wire.usage_in_choice else b'"role":"assistant",'
        if self._wire.usage_in_choice:
            yield begin + b'"role":"assistant","content":""' + end
        before = begin + role
        for token in self.reasoning:
            yield b'%b"reasoning_content":"%b"%b' % (before, token, end)
        if self._tool is not None:
            yield from self._tool_events(before, end)
        else:
            for token in self.tokens:
                yield b'%b"content":"%b"%b' % (before, token, end)
        yield begin + self._last(role)
        options = self._chat.stream_options
        if self._wire.usage_in_choice and options is not None and options.include_usage:
            head = begin[: begin.index(b'"choices":')]
            yield b'%b"choices":[],"usage":%b}\n\n' % (head, self._usage())
        yield DONE

    def _last(self, role: bytes) -> bytes:
        if self._wire.usage_in_choice:
            form = b'},"finish_reason":%b,"usage":%b}]}\n\n'
            return form % (self._finish, self._usage())
        form = b'%b"content":""},"finish_reason":%b}],"usage":%b}\n\n'
        return form % (role, self._finish, self._usage())

    def _message(self) -> bytes:
        reasoning = b""
        if self.reasoning:
            reasoning = b'"reasoning_content":%b,' % text.json_string(self.reasoning)
        if self._tool is None:
            return reasoning + b'"content":' + text.json_string(self.tokens)
        call = b'{"id":%b,"type":"function","function":{"name":%b,"arguments":%b}}'
        call %= (self._call_id(), self._tool_name(), text.json_string(self.tokens))
        return b'%b"content":"","tool_calls":[%b]' % (reasoning, call)

    def _tool_events(self, before: bytes, end: bytes) -> Iterator[bytes]:
        first = (
            b'%b"tool_calls":[{"index":0,"id":%b,"type":"function",'
            b'"function":{"name":%b,"arguments":""}}]%b'
        )
        yield first % (before, self._call_id(), self._tool_name(), end)
        rest = b'%b"tool_calls":[{"index":0,"function":{"arguments":"%b"}}]%b'
        for token in self.tokens:
            yield rest % (before, token, end)

    def _call_id(self) -> bytes:
        return b'"call_%016x"' % self._number

    def _tool_name(self) -> bytes:
        assert self._tool is not None, "only an answer with a tool call names a tool"
        return msgspec.json.encode(str(self._tool.get("name", "")))

    def _usage(self) -> bytes:
        return b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (
            self.prompt_tokens,
            self.completion_tokens,
            self.prompt_tokens + self.completion_tokens,
        )


def _check_reasoning(messages: list[_Message]) -> None:
    # Kimi's error reference: a thinking model wants its own reasoning back beside tool calls.
    for index, message in enumerate(messages):
        if message.tool_calls and not message.reasoning_content:
            expected = "thinking is enabled but reasoning_content is missing in assistant tool"
            raise InvalidChat(f"{expected} call message at index {index}")


def _text_of(part: msgspec.Raw) -> str:
    decoded = msgspec.json.decode(part)
    return str(decoded.get("text", "")) if isinstance(decoded, dict) else str(decoded)


def _chosen_tool(chat: ChatBody) -> dict[str, Any] | None:
    choice = chat.tool_choice
    functions = [tool.get("function") for tool in chat.tools or ()]
    known = [function for function in functions if isinstance(function, dict)]
    if isinstance(choice, dict):
        wanted = choice.get("function")
        name = wanted.get("name") if isinstance(wanted, dict) else None
        known = [function for function in known if function.get("name") == name]
    elif choice != "required":
        return None
    return known[0] if known else None


def _arguments(function: dict[str, Any], prompt: str) -> str:
    schema = function.get("parameters")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    values: dict[str, Any] = {}
    for name, declared in (properties if isinstance(properties, dict) else {}).items():
        kind = declared.get("type") if isinstance(declared, dict) else None
        plausible = {"string": prompt[:40], "integer": 1, "number": 1.5, "boolean": True}
        if kind in plausible:
            values[name] = plausible[kind]
    return msgspec.json.encode(values).decode()


def _words(sentence: str) -> list[str]:
    first, *rest = sentence.split(" ")
    return [first, *[" " + word for word in rest]]
