"""The JSON-RPC 2.0 envelope, as MCP narrows it: one object, no batch, no null id.

`decode` reads a body of any origin whose length its caller has bounded. It never raises for what
a peer sent: what is not one valid message comes back as `Rejected`.

Strictness is there to leave nothing open to two readings, because a proxy before this gateway
may read the same bytes: member names may not repeat, text must be UTF-8 without lone surrogates,
`NaN` and `Infinity` are not JSON. Nesting is bounded by the interpreter's recursion limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from mcp_gateway.errors import INVALID_REQUEST, PARSE_ERROR, GatewayError, InvalidMessage

Id = str | int
"""A JSON-RPC id or a progress token."""

MAX_ID_LENGTH = 256
"""Characters of a string id. Longer ones would only cost memory in every place that keeps them."""

MAX_INTEGER = 2**63 - 1
"""Largest magnitude of an integer id."""

EMPTY = Raw(b"{}")
"""An empty JSON object: parameters or arguments that were not given."""


class MessageType(StrEnum):
    """What a JSON-RPC message is. Logs, records and metrics classify by it."""

    REQUEST = "request"
    RESPONSE = "response"
    NOTIFICATION = "notification"
    ERROR = "error"


class Request(Struct, frozen=True):
    """A message that expects an answer. `params` is a JSON object, `{}` where none was sent."""

    id: Id
    method: str
    params: Raw


class _Plain(Struct, forbid_unknown_fields=True):
    """The usual request: every member there, none besides.

    Whatever else comes is no error for that; it takes the longer way through `_Envelope`.
    """

    jsonrpc: Literal["2.0"]
    id: Annotated[str, Meta(max_length=MAX_ID_LENGTH)] | int
    method: str
    params: Raw


class Notification(Struct, frozen=True):
    """A message that expects no answer. `params` is a JSON object, `{}` where none was sent."""

    method: str
    params: Raw


class Reply(Struct, frozen=True):
    """A peer's answer to a request: `type` is RESPONSE or ERROR, `id` None where it was null."""

    id: Id | None
    type: MessageType


class Rejected(Struct, frozen=True):
    """A message that cannot be served, and the answer it is owed.

    Attributes:
        error: what was wrong.
        id: the message's JSON-RPC id; None where none could be read.
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


_plain = msgspec.json.Decoder(_Plain).decode
_envelope = msgspec.json.Decoder(_Envelope).decode
_id_only = msgspec.json.Decoder(_IdOnly).decode
_anything = msgspec.json.Decoder(Raw).decode
_members = msgspec.json.Decoder(dict[str, Raw]).decode


def decode(body: bytes) -> Message | Rejected:
    """Read one JSON-RPC message."""
    try:
        return _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Rejected(InvalidMessage("the message is not JSON in UTF-8", code=PARSE_ERROR))
    except RecursionError:
        return Rejected(InvalidMessage("the message is nested too deeply", code=PARSE_ERROR))


def in_bounds(value: Id) -> bool:
    """Whether an id or a progress token is inside the bounds of its type."""
    if isinstance(value, str):
        return len(value) <= MAX_ID_LENGTH
    return -MAX_INTEGER <= value <= MAX_INTEGER


def repeats_member(data: bytes, members: Mapping[str, Raw] | None = None) -> bool:
    """Whether an object names one of its own members twice. Members of members are not looked at.

    A decoder keeps the last of two members, so a repetition shows only in the text: as one colon
    more than the members and their values account for.

    Args:
        data: a valid JSON object.
        members: its members, where the caller has decoded them already.
    """
    if members is None:
        members = _members(data)
    names = "".join(members)
    values = b"".join(map(bytes, members.values()))
    colons = names.count(":")
    if colons and data.count(b"\\") != values.count(b"\\"):
        # An escaped colon in a name would be counted twice and could hide a repetition.
        return True
    return data.count(b":") - values.count(b":") != len(members) + colons


def colons_outside(data: bytes, part: bytes) -> int:
    """Count the colons of `data` without those of `part`, which is in it.

    Counting around the part costs nothing for its size, which is nearly all of a message's.
    """
    start = data.find(part[:16])
    if not data.startswith(part, start):
        start = data.find(part)
    return data.count(b":", 0, start) + data.count(b":", start + len(part))


def _read(body: bytes) -> Message | Rejected:
    if not body.isascii():
        # msgspec does not look inside the text of members that it keeps encoded.
        body.decode("utf-8")
    usual = _usual(body)
    if usual is not None:
        return usual
    try:
        envelope = _envelope(body)
    except msgspec.ValidationError as error:
        return _wrong_shape(body, error)
    return _message(body, envelope)


def _usual(body: bytes) -> Request | None:
    """Read a request that has nothing unusual about it; None for everything else."""
    try:
        plain = _plain(body)
    except msgspec.ValidationError:
        return None
    params = bytes(plain.params)
    if params[:1] != b"{" or not in_bounds(plain.id) or colons_outside(body, params) != 4:
        return None
    return Request(plain.id, plain.method, plain.params)


def _message(body: bytes, envelope: _Envelope) -> Message | Rejected:
    known = None if envelope.id is UNSET else envelope.id
    problem = _problem(body, envelope)
    if problem:
        return _invalid(problem, known)
    if envelope.method is UNSET:
        failed = envelope.error is not UNSET
        return Reply(known, MessageType.ERROR if failed else MessageType.RESPONSE)
    given = envelope.params is not UNSET and bytes(envelope.params) != b"null"
    params = envelope.params if given and envelope.params is not UNSET else EMPTY
    if known is None:
        return Notification(envelope.method, params)
    return Request(known, envelope.method, params)


def _problem(body: bytes, envelope: _Envelope) -> str:
    """Say what is wrong with the members of a message; empty if nothing is."""
    known = envelope.id
    if envelope.jsonrpc != "2.0":
        return 'the member `jsonrpc` must be "2.0"'
    if envelope.method is UNSET:
        answers = (envelope.result is not UNSET) + (envelope.error is not UNSET)
        if known is UNSET or answers != 1:
            return "it is neither a request, a notification nor a response"
    elif known is None:
        return "the id of a request is a string or an integer, never null"
    if known is not None and known is not UNSET and not in_bounds(known):
        return f"an id has at most {MAX_ID_LENGTH} characters, or 64 bits"
    if envelope.params is not UNSET and bytes(envelope.params)[:1] not in {b"{", b"n"}:
        return "`params` must be an object"
    return "a member name is repeated" if repeats_member(body) else ""


def _wrong_shape(body: bytes, error: msgspec.ValidationError) -> Rejected:
    """Say what is wrong with JSON that is no JSON-RPC message, with its id where it has one."""
    _anything(body)  # The rest of the text may not even be JSON: then that is what is wrong.
    if body.lstrip()[:1] == b"[":
        return _invalid("a batch is not served: send one message", None)
    try:
        known = _id_only(body).id
    except msgspec.ValidationError:
        known = None
    return _invalid(f"not a JSON-RPC message: {error}", known)


def _invalid(text: str, known: Id | None) -> Rejected:
    if known is not None and not in_bounds(known):
        known = None
    return Rejected(InvalidMessage(text, code=INVALID_REQUEST), known)
