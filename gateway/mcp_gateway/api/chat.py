"""One chat request and its answer, as Python code sees them.

The same objects are used against an embedded gateway and against a running one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcp_gateway.errors import GatewayError


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request for one chat completion.

    Attributes:
        model: model name, as the provider or a route knows it.
        messages: the conversation, in the OpenAI form: objects with `role` and `content`.
        provider: name of a configured provider; empty lets the routes decide.
        max_tokens: the answer's longest length, in tokens.
        temperature: sampling temperature; None leaves it to the provider.
        timeout: seconds the whole request may take; None leaves it to the gateway.
        extra: further fields of the provider's chat API (`tools`, `thinking`, ...), sent as
            they are.
    """

    model: str
    messages: Sequence[Mapping[str, Any]]
    provider: str = ""
    max_tokens: int | None = None
    temperature: float | None = None
    timeout: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """The request as fields of the provider's chat API, without `provider`."""
        fields: dict[str, Any] = {"model": self.model, "messages": list(self.messages)}
        if self.max_tokens is not None:
            fields["max_tokens"] = self.max_tokens
        if self.temperature is not None:
            fields["temperature"] = self.temperature
        fields.update(self.extra)
        return fields


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the provider counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one request went, in seconds.

    Attributes:
        queue: waiting for a connection and for rates.
        upstream: from the first byte sent to the provider to the last byte of its answer,
            summed over attempts.
        total: the whole request inside the gateway.
        first_token: from the start to the first streamed token; None where nothing streamed.
    """

    queue: float = 0.0
    upstream: float = 0.0
    total: float = 0.0
    first_token: float | None = None


@dataclass(frozen=True, slots=True)
class ChatDelta:
    """One piece of a streamed answer."""

    content: str = ""
    reasoning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatResponse:
    """The answer to a `ChatRequest`, or the typed error in its place.

    Attributes:
        id: the gateway's id of the exchange, as in its log, records and response headers.
        text: the answer's text; what had arrived of it where `error` is set.
        error: why there is no whole answer; None when there is one.
        reasoning: the text of a thinking model's `reasoning_content`.
        finish_reason: the provider's word: `stop`, `length`, `tool_calls`, ...
        tool_calls: the calls the model asks for, in the OpenAI form.
        provider: who answered.
        model: the model that answered, in the provider's words.
        attempts: upstream attempts made.
    """

    id: str = ""
    text: str = ""
    error: GatewayError | None = None
    reasoning: str = ""
    finish_reason: str = ""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    provider: str = ""
    model: str = ""
    usage: Usage = Usage()
    timings: Timings = Timings()
    attempts: int = 0

    @property
    def content(self) -> str:
        """The answer's text.

        Raises:
            GatewayError: the response's `error`, where it has one: a failure is never read
                as an empty answer.
        """
        if self.error is not None:
            raise self.error
        return self.text
