"""One request crossing the gateway, and what is learned about it on the way.

An `Exchange` is made by a listener, carried through the layers, and read at the end by the
log, the metrics and the recording. It belongs to one task and is never shared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from mcp_gateway.errors import GatewayError
from mcp_gateway.protocol.jsonrpc import MessageType
from mcp_gateway.providers.base import ChatCall, Sink
from mcp_gateway.proxy.pattern import Fullmatch
from mcp_gateway.proxy.trace import Trace
from mcp_gateway.recording.choice import Kept, kept


class Face(StrEnum):
    """By which door a request came in."""

    HTTP = "http"
    WEBSOCKET = "websocket"
    OPENAI = "openai"
    EMBEDDED = "embedded"


class Operation(StrEnum):
    """What a request asks the gateway to do.

    chat calls a provider; models lists what can be called; protocol is everything that the
    listener answers by itself (discover, initialize, ping, tools/list) once the layers agree.
    """

    CHAT = "chat"
    MODELS = "models"
    PROTOCOL = "protocol"


@dataclass(frozen=True, slots=True)
class Client:
    """Who is asking, as the `auth` layer found.

    Attributes:
        name: the key's or the token's name; `anonymous` where none was asked for.
        models: true for the names of models it may call; None means all.
        requests_per_second, burst: its own rate; None leaves it to the document's.
    """

    name: str = "anonymous"
    models: Fullmatch | None = None
    requests_per_second: float | None = None
    burst: int | None = None


ANONYMOUS = Client()
METADATA = kept("metadata")


class Attempt(Struct):
    """One try at one provider. Times are seconds; `outcome` is `ok` or an error's class name.

    `queue` is the time before the request was sent: waiting for the account's rates, and then for a
    connection. `pod` names the pod of this gateway that made it, where it was not this one.
    """

    provider: str
    model: str
    queue: float = 0.0
    upstream: float = 0.0
    outcome: str = "ok"
    status: int = 0
    pod: str = ""


class Exchange(Struct):
    """One request, from its first byte to its last.

    Attributes:
        id: the gateway's own id, 32 hexadecimal digits.
        face, kind, method, tool: what it is; `tool` is empty where there is none.
        started: `loop.time()` when it was read; `wall` is `time.time()` then.
        operation: what to do.
        call: the chat to make, for `Operation.CHAT`.
        credential: the bearer token presented, or empty. Never logged, never recorded.
        peer: the client's address, without its port.
        deadline: `loop.time()` when the client stops waiting; None means it did not say.
        sink: where streamed events go; None means the client wants one whole answer.
        request_id: the JSON-RPC id as text, or the client's own request header.
        traceparent, tracestate: W3C trace context as it came in, or empty.
        origin: the pod of this gateway that sent the request on, or empty. What was sent on once
            is not sent on again.
        on_send: called right before an attempt's request goes to a provider.
        invalid: what is wrong with the request itself. It still passes the layers, because who
            may not ask at all is told that first; then this is raised.

    What is learned on the way:
        client, route, provider, model: who asked, and where it went.
        attempts: tries at providers, in order.
        queued, upstream: seconds spent waiting, and on the wire.
        first_token: seconds from `started` to the first streamed token.
        streamed: a byte of an answer went to the client; from then on nothing is tried again.
        recorded: the recording takes it.
        kept, events: what the recording wants of the content, and the streamed events kept.
        trace: where it stands in a trace; None where the document asks for none.
    """

    id: str
    face: Face
    method: str
    started: float
    wall: float
    kind: MessageType = MessageType.REQUEST
    operation: Operation = Operation.PROTOCOL
    tool: str = ""
    call: ChatCall | None = None
    credential: str = ""
    peer: str = ""
    deadline: float | None = None
    sink: Sink | None = None
    request_id: str = ""
    traceparent: str = ""
    tracestate: str = ""
    origin: str = ""
    on_send: Callable[[], None] | None = None
    invalid: GatewayError | None = None

    client: Client = ANONYMOUS
    route: str = ""
    provider: str = ""
    model: str = ""
    attempts: list[Attempt] = []
    queued: float = 0.0
    upstream: float = 0.0
    first_token: float | None = None
    streamed: bool = False
    recorded: bool = True
    kept: Kept = METADATA
    events: list[bytes] = []
    trace: Trace | None = None

    @property
    def pod(self) -> str:
        """The pod that made the last attempt, where it was not this one."""
        return self.attempts[-1].pod if self.attempts else ""
