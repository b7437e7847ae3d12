"""From a tool's result to the objects of `mcp_gateway.api.chat`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp_gateway.api.chat import ChatDelta, ChatResponse, Timings, Usage
from mcp_gateway.client.failure import from_tool
from mcp_gateway.client.wire import Progress, Result
from mcp_gateway.errors import GatewayError, RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Model:
    """A model that this client may call.

    Attributes:
        id: its name, for `ChatRequest.model`.
        provider: the configured provider that has it, for `ChatRequest.provider`.
        created: seconds since 1970, as the provider says; 0 where it says nothing.
    """

    id: str
    provider: str = ""
    created: int = 0


def delta(progress: Progress) -> ChatDelta:
    """Read the piece of an answer that a progress notification carries."""
    return ChatDelta(progress.message, progress.reasoning)


def failure(result: Result) -> GatewayError | None:
    """Return the typed error of a result, from either place where one can be; None if none."""
    if result.error is not None:
        return result.error
    if not result.value.get("isError"):
        return None
    error = _structured(result.value).get("error")
    if isinstance(error, Mapping):
        return from_tool(error)
    return from_tool({"message": text(result.value) or "the tool failed"})


def chat_response(result: Result, heard: str = "", reasoning: str = "") -> ChatResponse:
    """Read the answer to a chat.

    Args:
        result: the last message of the call.
        heard: text streamed before, which is all there is of an answer that failed.
        reasoning: the same of the reasoning.
    """
    fields = _structured(result.value)
    error = failure(result)
    if error is None and "content" not in fields and not text(result.value):
        error = RemoteProtocolError("the gateway's answer is not that of a chat")
    return ChatResponse(
        id=_text(fields, "id"),
        text=_text(fields, "content") or (text(result.value) if error is None else heard),
        error=error,
        reasoning=_text(fields, "reasoning_content") or reasoning,
        finish_reason=_text(fields, "finish_reason"),
        tool_calls=_list(fields, "tool_calls"),
        provider=_text(fields, "provider") or (error.provider if error else ""),
        model=_text(fields, "model"),
        usage=_usage(_mapping(fields, "usage")),
        timings=_timings(_mapping(fields, "timings")),
        attempts=_int(fields, "attempts"),
    )


def failed(error: GatewayError, heard: str = "", reasoning: str = "") -> ChatResponse:
    """Return the response that stands for `error` where the gateway sent no result."""
    return ChatResponse(text=heard, reasoning=reasoning, error=error, provider=error.provider)


def models(result: Result) -> list[Model]:
    """Read the answer of the tool `models`.

    Raises:
        GatewayError: the typed error in its place.
    """
    error = failure(result)
    if error is not None:
        raise error
    return [
        Model(_text(entry, "id"), _text(entry, "provider"), _int(entry, "created"))
        for entry in _list(_structured(result.value), "models")
    ]


def text(value: Mapping[str, Any]) -> str:
    """Join the text blocks of a tool result's `content`."""
    blocks = _list(value, "content")
    return "".join(_text(block, "text") for block in blocks if block.get("type") == "text")


def _structured(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(value, "structuredContent")


def _usage(fields: Mapping[str, Any]) -> Usage:
    return Usage(_int(fields, "prompt_tokens"), _int(fields, "completion_tokens"))


def _timings(fields: Mapping[str, Any]) -> Timings:
    first = fields.get("first_token")
    return Timings(
        queue=_seconds(fields, "queue"),
        upstream=_seconds(fields, "upstream"),
        total=_seconds(fields, "total"),
        first_token=float(first) if isinstance(first, int | float) else None,
    )


# What came is read leniently: a field of another type than expected counts as absent, because
# an answer with an odd timing is still an answer.


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _int(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    return value if isinstance(value, int) else 0


def _seconds(fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _mapping(fields: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, Mapping) else {}


def _list(fields: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    value = fields.get(name)
    return (
        [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []
    )
