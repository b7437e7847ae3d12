"""What reading a client's message can yield, besides `jsonrpc.Rejected`."""

from __future__ import annotations

from msgspec import Raw, Struct

from mcp_gateway.protocol.jsonrpc import EMPTY, Id, MessageType
from mcp_gateway.protocol.versions import Era, Revision


class Call(Struct, frozen=True, kw_only=True):
    """A request to a method that is served in its era, with parameters of the right form.

    Attributes:
        id: the JSON-RPC id to answer with.
        method: one of `inbound.SERVED[era]`.
        era, version: what the peer speaks; for `initialize`, the revision to answer with.
        params: the parameters as they came, a JSON object.
        tool, arguments: for `tools/call`: the tool's name, and its arguments as they came, a
            JSON object whose own members do not repeat.
        progress_token: to be sent with each progress notification; None where none are wanted.
        wants_sse: the HTTP client accepts `text/event-stream`; on a frame, always False.
        client_info: the client's `Implementation` object where it gave one; unverified.
        log_level: the level of log messages wanted, empty for none.
        meta_traceparent, meta_tracestate: W3C trace context of `_meta`, empty where there was
            none or it was malformed.
    """

    id: Id
    method: str
    era: Era
    version: Revision
    params: Raw = EMPTY
    tool: str = ""
    arguments: Raw = EMPTY
    progress_token: Id | None = None
    wants_sse: bool = False
    client_info: Raw | None = None
    log_level: str = ""
    meta_traceparent: str = ""
    meta_tracestate: str = ""

    @property
    def type(self) -> MessageType:
        """Always `MessageType.REQUEST`."""
        return MessageType.REQUEST


class Notified(Struct, frozen=True, kw_only=True):
    """A notification. Over HTTP it is owed a 202 without a body, whatever it says.

    Attributes:
        method: its name, known here or not, to the length that a name could have.
        era: the era it came in.
        cancels: for `notifications/cancelled`: the id of the request to stop; None for every
            other notification, for a malformed one, and on stateless HTTP, where closing the
            stream cancels and ids of different clients are not told apart.
    """

    method: str
    era: Era
    cancels: Id | None = None

    @property
    def type(self) -> MessageType:
        """Always `MessageType.NOTIFICATION`."""
        return MessageType.NOTIFICATION


class Replied(Struct, frozen=True, kw_only=True):
    """A response from the client. This server asks nothing, so it is dropped (HTTP: 202)."""

    id: Id | None
    type: MessageType
