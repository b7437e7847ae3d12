"""What can be called, and how a call's arguments become a chat.

Arguments are decoded one level deep: the gateway reads `model`, `provider` and the shape of
`messages`, and passes every other value on as the bytes the client sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from mcp_gateway.errors import INVALID_PARAMS, InvalidArguments, InvalidMessage
from mcp_gateway.protocol.jsonrpc import repeats_member
from mcp_gateway.providers.base import ChatCall
from mcp_gateway.proxy import tools
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.exchange import Client
from mcp_gateway.proxy.model_list import ModelList

MAX_MODEL = 256

INSTRUCTIONS = (
    "This gateway calls language models. Use `models` to list them and `chat` with `model` and "
    "`messages` to ask one. Send a progress token to receive the answer as it is written."
)


class _Message(msgspec.Struct):
    role: Literal["system", "user", "assistant", "tool", "developer", "function"]


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_messages = msgspec.json.Decoder(list[_Message])
_string = msgspec.json.Decoder(str)
_boolean = msgspec.json.Decoder(bool | None)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Model:
    """One model that can be called. `created` is 0 where the provider does not say."""

    id: str
    provider: str
    created: int = 0


class Catalog:
    """The tools and models of one document."""

    instructions = INSTRUCTIONS

    def __init__(self, accounts: Sequence[Account], lists: dict[str, ModelList]) -> None:
        names = [account.name for account in accounts]
        self._providers = frozenset(names)
        self._lists = lists
        self._tools = {tools.CHAT: "", **{f"{name}{tools.CHAT_SUFFIX}": name for name in names}}
        self.tools_json = tools.tools_json(names)

    def call_from_tool(self, tool: str, arguments: msgspec.Raw | bytes | None) -> ChatCall | None:
        """The chat that `tools/call` asks for; None for `models`, which makes none.

        Raises:
            InvalidMessage: no such tool (MCP: an unknown tool is invalid params).
            InvalidArguments: the arguments are not of the tool's form.
        """
        provider = self._tools.get(tool)
        if provider is None:
            if tool == tools.MODELS:
                return None
            raise InvalidMessage(
                f"unknown tool {tool[:128]!r}: tools/list names those there are",
                code=INVALID_PARAMS,
            )
        fields = _decode(arguments if arguments is not None else b"{}")
        if "stream" in fields:
            raise InvalidArguments(
                "stream is not an argument: send a progress token to receive the answer in pieces"
            )
        return self._call(fields, provider=provider, body=None)

    def call_from_openai(self, body: bytes) -> ChatCall:
        """The chat that the body of `POST /v1/chat/completions` asks for.

        Raises:
            InvalidArguments: it is not a chat request.
        """
        fields = _decode(body)
        if not body.isascii():
            _check_text(body)
        if repeats_member(body, fields):
            # The body is passed on as it is, and the provider could take the other one.
            raise InvalidArguments("a member of the request is given twice")
        stream = fields.pop("stream", None)
        call = self._call(fields, provider="", body=body)
        if stream is not None:
            try:
                call.stream = bool(_boolean.decode(stream))
            except msgspec.ValidationError as exc:
                raise InvalidArguments("stream: expected true or false") from exc
        return call

    async def models(self, client: Client) -> list[Model]:
        """The models this client may call, each once, in the document's order of providers."""
        allowed = client.models
        found: list[Model] = []
        for provider, listed in self._lists.items():
            found.extend(
                Model(model, provider)
                for model in await listed.get()
                if allowed is None or allowed(model)
            )
        return found

    def _call(
        self, fields: dict[str, msgspec.Raw], *, provider: str, body: bytes | None
    ) -> ChatCall:
        model = _text(fields, "model", required=True)
        if "provider" in fields:
            wished = _text(fields, "provider")
            if provider and wished not in {"", provider}:
                raise InvalidArguments(
                    f"provider: this tool asks {provider!r}; use the tool `chat` for others"
                )
            del fields["provider"]
            provider, body = provider or wished, None
        elif not provider and "/" in model:
            # "kimi/kimi-k2.6", as clients of other gateways write it.
            prefix, _, rest = model.partition("/")
            if prefix in self._providers and rest:
                provider, model, body = prefix, rest, None
                # What the provider is asked for is what a key's allowed models were held against.
                fields["model"] = msgspec.Raw(_encode(model))
        if provider and provider not in self._providers:
            known = ", ".join(sorted(self._providers))
            raise InvalidArguments(f"provider: there is no {provider[:64]!r}; expected {known}")
        _check_messages(fields)
        return ChatCall(model=model, fields=fields, provider=provider, body=body)


def _decode(raw: msgspec.Raw | bytes) -> dict[str, msgspec.Raw]:
    try:
        return _fields.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise InvalidArguments(f"expected a JSON object: {exc}") from exc


def _check_text(body: bytes) -> None:
    """Look at the members that stay encoded: their text is not looked into by decoding."""
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        raise InvalidArguments("expected a JSON object in UTF-8") from exc


def _text(fields: dict[str, msgspec.Raw], name: str, *, required: bool = False) -> str:
    raw = fields.get(name)
    if raw is None:
        if required:
            raise InvalidArguments(f"{name}: missing; expected a string")
        return ""
    try:
        value = _string.decode(raw)
    except msgspec.DecodeError as exc:
        raise InvalidArguments(f"{name}: expected a string") from exc
    if len(value) > MAX_MODEL or (required and not value):
        raise InvalidArguments(f"{name}: expected 1 to {MAX_MODEL} characters")
    return value


def _check_messages(fields: dict[str, msgspec.Raw]) -> None:
    raw = fields.get("messages")
    if raw is None:
        raise InvalidArguments(
            'messages: missing; expected a list such as [{"role": "user", "content": "Hello!"}]'
        )
    try:
        messages = _messages.decode(raw)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise InvalidArguments(f"messages: {exc}") from exc
    if not messages:
        raise InvalidArguments("messages: expected at least one message")
