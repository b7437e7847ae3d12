"""Write answers and notifications, by splicing prepared bytes.

Every function returns one whole JSON-RPC message on one line, without SSE framing. Arguments
called `..._json` are encoded JSON that is taken as it is; their caller answers for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from msgspec import Raw

from mcp_gateway import __version__
from mcp_gateway.errors import GatewayError
from mcp_gateway.protocol.jsonrpc import Id
from mcp_gateway.protocol.versions import STATELESS_REVISIONS, Era, Revision

_encode = msgspec.json.Encoder().encode

_SERVER = _encode({"name": "mcp-gateway", "title": "MCPGateway", "version": __version__})
_CAPABILITIES = b'{"tools":{}}'

LIST_TTL_MS = 30_000
"""Milliseconds for which a client may keep a list: how old it may be after a reload."""

REASONING_KEY = b"gateway.exai.dev/reasoning"
"""Where a progress notification carries the text of a thinking model's reasoning."""

# MCP 2026-07-28 §basic: every result says its type, and whose it is.
_STATELESS = b'"_meta":{"io.modelcontextprotocol/serverInfo":%b},"resultType":"complete"' % _SERVER
_CACHED = b'"ttlMs":%d,"cacheScope":"private"'


class Answer(Protocol):
    """A whole chat answer: the part of `providers.base.ChatAnswer` that a result shows."""

    content: str
    reasoning: str
    finish_reason: str
    tool_calls: Raw | None
    model: str
    prompt_tokens: int
    completion_tokens: int


class Course(Protocol):
    """How an exchange went: the part of `proxy.exchange.Exchange` that a result shows.

    Times are seconds; `first_token` is None where nothing streamed.
    """

    id: str
    provider: str
    queued: float
    upstream: float
    first_token: float | None

    @property
    def attempts(self) -> Sequence[object]:
        """The tries that were made."""


def result(request_id: Id, era: Era, fields_json: bytes) -> bytes:
    """Return the result of a request.

    Args:
        request_id: the request's.
        era: the request's; the stateless era adds `resultType` and the server's name.
        fields_json: the result's own fields, a JSON object.
    """
    fields = fields_json[1:]
    if era is Era.HANDSHAKE:
        return b'{"jsonrpc":"2.0","id":%b,"result":{%b}' % (_id(request_id), fields)
    comma = b"" if fields == b"}" else b","
    return b'{"jsonrpc":"2.0","id":%b,"result":{%b%b%b}' % (
        _id(request_id),
        _STATELESS,
        comma,
        fields,
    )


def empty(request_id: Id, era: Era) -> bytes:
    """Return a result that says nothing: the answer to `ping`."""
    return result(request_id, era, b"{}")


def error(request_id: Id | None, error: GatewayError) -> bytes:
    """Return the JSON-RPC error for a request; its id is null where none could be read."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (
        b"null" if request_id is None else _id(request_id),
        _encode({"code": error.rpc_code, "message": str(error), "data": error.data()}),
    )


def discover(request_id: Id, instructions: str) -> bytes:
    """Return the result of `server/discover`.

    Only stateless revisions are listed: a client picks one of them for its next request's
    `_meta`, where no other would do.
    """
    return result(
        request_id,
        Era.STATELESS,
        b'{"supportedVersions":%b,"capabilities":%b,%b%b}'
        % (
            _encode(STATELESS_REVISIONS),
            _CAPABILITIES,
            _CACHED % LIST_TTL_MS,
            _instructions(instructions),
        ),
    )


def initialize(request_id: Id, version: Revision, instructions: str) -> bytes:
    """Return the result of `initialize`, with the negotiated revision."""
    return result(
        request_id,
        Era.HANDSHAKE,
        b'{"protocolVersion":%b,"capabilities":%b,"serverInfo":%b%b}'
        % (_encode(version), _CAPABILITIES, _SERVER, _instructions(instructions)),
    )


def tools_list(request_id: Id, era: Era, tools_json: bytes, ttl_ms: int = LIST_TTL_MS) -> bytes:
    """Return the result of `tools/list`, all of it on one page.

    Args:
        request_id: the request's.
        era: the request's.
        tools_json: a JSON array of `Tool` objects.
        ttl_ms: milliseconds for which the client may keep it. The scope is private, because
            what is listed may depend on the credential.
    """
    if era is Era.HANDSHAKE:
        return result(request_id, era, b'{"tools":%b}' % tools_json)
    return result(request_id, era, b'{"tools":%b,%b}' % (tools_json, _CACHED % ttl_ms))


def progress(token: Id, count: int, message: str, reasoning: str = "") -> bytes:
    """Return a `notifications/progress`.

    Args:
        token: the request's progress token.
        count: the progress so far; greater in each notification of one request.
        message: what to show; for a streamed chat the text it adds to the answer.
        reasoning: the text it adds to the reasoning. It goes into `_meta`, because clients show
            `message`, and thoughts shown there would be taken for the answer.
    """
    if reasoning:
        return (
            b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"_meta":{"%b":%b},'
            b'"progressToken":%b,"progress":%d%b}}'
            % (
                REASONING_KEY,
                _encode(reasoning),
                _id(token),
                count,
                b',"message":' + _encode(message) if message else b"",
            )
        )
    return (
        b'{"jsonrpc":"2.0","method":"notifications/progress","params":'
        b'{"progressToken":%b,"progress":%d,"message":%b}}' % (_id(token), count, _encode(message))
    )


def chat_result(request_id: Id, era: Era, answer: Answer, course: Course, total: float) -> bytes:
    """Return the `CallToolResult` of a chat.

    Args:
        request_id: the request's.
        era: the request's.
        answer: what the provider said.
        course: how the exchange went.
        total: seconds from the request's arrival to now.
    """
    content = _encode(answer.content)
    return result(
        request_id,
        era,
        b'{"content":[{"type":"text","text":%b}],"structuredContent":{"id":"%b","content":%b,'
        b'%b"finish_reason":%b,"provider":%b,"model":%b,"attempts":%d,'
        b'"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d},'
        b'"timings":{"queue":%.6f,"upstream":%.6f,"total":%.6f%b}}}'
        % (
            content,
            course.id.encode(),
            content,
            _thoughts(answer),
            _encode(answer.finish_reason),
            _encode(course.provider),
            _encode(answer.model),
            len(course.attempts),
            answer.prompt_tokens,
            answer.completion_tokens,
            answer.prompt_tokens + answer.completion_tokens,
            course.queued,
            course.upstream,
            total,
            b"" if course.first_token is None else b',"first_token":%.6f' % course.first_token,
        ),
    )


def _thoughts(answer: Answer) -> bytes:
    thoughts = b""
    if answer.reasoning:
        thoughts = b'"reasoning_content":%b,' % _encode(answer.reasoning)
    if answer.tool_calls is not None:
        thoughts += b'"tool_calls":%b,' % bytes(answer.tool_calls)
    return thoughts


def structured_result(request_id: Id, era: Era, structured_json: bytes) -> bytes:
    """Return a `CallToolResult` of structured content alone, with its text copy.

    MCP 2025-11-25 §tools, "Structured Content": the same JSON also as text, for clients that
    know no other.

    Args:
        request_id: the request's.
        era: the request's.
        structured_json: the content, a JSON object in UTF-8.
    """
    text = _encode(structured_json.decode())
    return result(
        request_id,
        era,
        b'{"content":[{"type":"text","text":%b}],"structuredContent":%b}' % (text, structured_json),
    )


def tool_error(request_id: Id, era: Era, error: GatewayError, exchange: str) -> bytes:
    """Return the `CallToolResult` of a call that failed, in words that a model can act on.

    `structuredContent` has the exchange's `id`, as an answer has, and `error`, with `code` (the
    error's reason), `message`, and the fields of `GatewayError.data`.
    """
    fields: dict[str, object] = {"code": error.reason, "message": str(error), **error.data()}
    del fields["reason"]
    return result(
        request_id,
        era,
        b'{"content":[{"type":"text","text":%b}],"structuredContent":{"id":"%b","error":%b},'
        b'"isError":true}'
        % (_encode(f"{error.reason}: {error}"), exchange.encode(), _encode(fields)),
    )


def _id(request_id: Id) -> bytes:
    return b"%d" % request_id if isinstance(request_id, int) else _encode(request_id)


def _instructions(text: str) -> bytes:
    return b',"instructions":' + _encode(text) if text else b""
