"""The JSON-RPC 2.0 envelope, as MCP narrows it: one object, no batch, no null id.

`decode` reads a body of any origin and length that its caller has bounded. It never raises for
what a peer sent: what is not one valid message comes back as `Rejected`.

Strictness is there to leave nothing open to two readings, because a proxy before this gateway
may read the same bytes: member names may not repeat, text must be UTF-8 without lone surrogates,
`NaN` and `Infinity` are not JSON. Nesting is bounded by the interpreter's recursion limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from mcp_gateway.errors import INVALID_REQUEST, PARSE_ERROR, GatewayError, InvalidMessage

MAX_ID_LENGTH = 256
"""Characters of a string id. Longer ones would only cost memory in every place that keeps them."""

MAX_INTEGER = 2**63 - 1
"""Largest magnitude of an integer id or progress token."""

Id = str | int

_NULL = b"null"
EMPTY = Raw(b"{}")
"""An empty JSON object: parameters or arguments that were not given."""


class MessageType(StrEnum):
    """What a JSON-RPC message is. Logs, records and metrics classify by it."""

    REQUEST = "request"
    RESPONSE = "response"
    NOTIFICATION = "notification"
    ERROR = "error"


class Request(Struct, frozen=True, gc=False):
    """A message that expects an answer. `params` is a JSON object, `{}` where none was sent."""

    id: Id
    method: str
    params: Raw

    @property
    def type(self) -> MessageType:
        """Always `MessageType.REQUEST`."""
        return MessageType.REQUEST


class Notification(Struct, frozen=True, gc=False):
    """A message that expects no answer. `params` is a JSON object, `{}` where none was sent."""

    method: str
    params: Raw

    @property
    def type(self) -> MessageType:
        """Always `MessageType.NOTIFICATION`."""
        return MessageType.NOTIFICATION


class Reply(Struct, frozen=True, gc=False):
    """A peer's answer to a request: a `RESPONSE` or an `ERROR`. `id` is None where it was null."""

    id: Id | None
    type: MessageType


class Rejected(Struct, frozen=True):
    """A message that cannot be served, and the answer it is owed.

    Attributes:
        error: what was wrong.
        id: the message's JSON-RPC id; None where none could be read, or where the message was a
            notification.
        status: HTTP status of the answer.
    """

    error: GatewayError
    id: Id | None = None
    status: int = 400


Message = Request | Notification | Reply


class _Envelope(Struct):
    jsonrpc: str
    id: Id | UnsetType | None = UNSET
    method: str | UnsetType = UNSET
    params: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET


class _IdOnly(Struct):
    id: Id | None = None


_envelope = msgspec.json.Decoder(_Envelope).decode
_id_only = msgspec.json.Decoder(_IdOnly).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode


def decode(body: bytes) -> Message | Rejected:
    """Read one JSON-RPC message.

    Args:
        body: the whole message. Bounding its length is the transport's work.
    """
    try:
        if not body.isascii():
            # msgspec does not look inside the text of members it keeps as Raw.
            body.decode("utf-8")
        return _message(body, _envelope(body))
    except msgspec.ValidationError as error:
        return _wrong_shape(body, error)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Rejected(InvalidMessage("the body is not JSON in UTF-8", code=PARSE_ERROR))
    except RecursionError:
        return Rejected(InvalidMessage("the body is nested too deeply", code=PARSE_ERROR))


def _wrong_shape(body: bytes, error: msgspec.ValidationError) -> Rejected:
    """Say what is wrong with JSON that is no JSON-RPC message, with its id where it has one."""
    if body.lstrip()[:1] == b"[":
        text = "a batch is not served: send one JSON-RPC message"
        return Rejected(InvalidMessage(text, code=INVALID_REQUEST))
    try:
        known = _id_only(body).id
    except msgspec.ValidationError:
        known = None
    return _invalid(f"not a JSON-RPC message: {_lower(error)}", known)


def _lower(error: Exception) -> str:
    text = str(error)
    return text[:1].lower() + text[1:]


def _invalid(text: str, known: Id | None = None) -> Rejected:
    if known is not None and not valid_id(known):
        known = None
    return Rejected(InvalidMessage(text, code=INVALID_REQUEST), known)


def valid_id(value: Id) -> bool:
    """Whether an id is inside the bounds of its type."""
    if isinstance(value, str):
        return len(value) <= MAX_ID_LENGTH
    return -MAX_INTEGER <= value <= MAX_INTEGER


def _message(body: bytes, envelope: _Envelope) -> Message | Rejected:
    known = None if envelope.id is UNSET else envelope.id
    if envelope.jsonrpc != "2.0":
        return _invalid('the member `jsonrpc` must be "2.0"', known)
    if known is not None and not valid_id(known):
        return _invalid(f"an id has at most {MAX_ID_LENGTH} characters, or 64 bits")
    if envelope.method is UNSET:
        return _reply(envelope, known)
    params = b"" if envelope.params is UNSET else bytes(envelope.params)
    if _repeats_outside(body, params, envelope):
        return _invalid("a member name is repeated", known)
    if params[:1] != b"{" and params not in {b"", _NULL}:
        return _invalid("`params` must be an object", known)
    raw = Raw(params) if params[:1] == b"{" else EMPTY
    if envelope.id is UNSET:
        return Notification(envelope.method, raw)
    if known is None:
        return _invalid("a request's id is a string or an integer, never null")
    return Request(known, envelope.method, raw)


def _reply(envelope: _Envelope, known: Id | None) -> Reply | Rejected:
    failed = envelope.error is not UNSET
    if envelope.id is UNSET or failed == (envelope.result is not UNSET):
        return _invalid("neither a request, a notification nor a response", known)
    return Reply(known, MessageType.ERROR if failed else MessageType.RESPONSE)


def _repeats_outside(body: bytes, params: bytes, envelope: _Envelope) -> bool:
    """Whether the envelope itself repeats a member, at a cost that ignores the size of `params`.

    Each member shows one colon, so what is left of the body without `params` shows as many as
    there are members, and one more for every repetition. More for another reason (a colon inside
    the id, an unknown member) only leads to the exact test.
    """
    expected = 2 + (envelope.id is not UNSET) + (envelope.params is not UNSET)
    start = body.find(params)
    found = body.count(b":", 0, start) + body.count(b":", start + len(params))
    return found != expected and repeats_member(body)


def repeats_member(data: bytes | Raw, members: Mapping[str, Raw] | None = None) -> bool:
    """Whether an object names one of its own members twice. Members of members are not looked at.

    Args:
        data: a valid JSON object.
        members: its members, where the caller has decoded them already.
    """
    data = bytes(data)
    if members is None:
        members = _members(data)
    names = "".join(members)
    values = b"".join(map(bytes, members.values()))
    colons = names.count(":")
    if colons and data.count(b"\\") != values.count(b"\\"):
        # An escaped colon in a name would be counted twice and could hide a repetition.
        return True
    return data.count(b":") - values.count(b":") != len(members) + colons
