"""The control channel: what an operator and a pod tell each other, one JSON object per text frame.

The operator dials each pod's control port over TLS, shows the gateway's token and holds one
WebSocket. Down go configurations, grants, questions about providers and heartbeats; up come a
greeting, acknowledgements, refusals, findings and reports. Both ends ignore types and fields
they do not know, so that either may be upgraded first.

A configuration carries a generation, which counts changes of the document, and an epoch, which
counts leaderships of the operator. A pod refuses a lower epoch than it has seen, so a leader that
was replaced and wakes up late changes nothing, and it refuses a generation older than its own,
unless the very generation that it runs is being taken back.

A grant says what a pod may use of the accounts' limits. It is whole: it names every limit that
the operator governs, and what it does not name is the pod's own to bound. It carries the epoch
and a sequence number that grows within it; a pod ignores a lower epoch or a number that is not
higher, and answers one that it takes by a report that carries both. Until that report has come
the operator counts what it granted before as still used.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Protocol, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from mcp_gateway.api.fields import Observed
from mcp_gateway.api.quota import (
    MAX_LIMITS,
    MAX_PEERS,
    MAX_TEXT,
    LimitReport,
    Number,
    Peer,
    Quota,
    Text,
    Word,
)
from mcp_gateway.api.server import CONTROL_PORT
from mcp_gateway.errors import ProtocolError

PORT: Final = CONTROL_PORT
"""Where a pod listens for its operator, unless it is told otherwise."""

PATH: Final = "/control"
SUBPROTOCOL: Final = "control.mcp-gateway.v1"
GENERATION_ANNOTATION: Final = "gateway.exai.dev/config-generation"
"""Annotation of a document that tells its generation to a pod that reads it at its start."""

MAX_DOWN: Final = 4 << 20
"""Bytes of one message to a pod."""
MAX_UP: Final = 256 << 10
"""Bytes of one message from a pod."""

HEARTBEAT: Final = 15.0
"""Seconds between two pings; the other end is given up after `SILENCE`."""
SILENCE: Final = 2 * HEARTBEAT + 5.0
"""Seconds without a word after which an end gives the channel up: two heartbeats were missed."""
REPORT_EVERY: Final = 5.0
"""Seconds between two reports, where there is something new to report."""

MAX_PROBLEMS: Final = 32

ProbeState = Literal["Healthy", "CredentialRefused", "ModelUnknown", "Unreachable"]


class Message(Observed):
    """Base of the messages. `type` tells them apart."""

    def encode(self) -> str:
        """The text frame that carries it."""
        return self.model_dump_json(by_alias=True, exclude_none=True)


class Config(Message):
    """To a pod: run this document. Answered by `Ack` or `Refused`."""

    type: Literal["config"] = "config"

    generation: Number
    """Number of the document."""

    epoch: Number
    """Number of the leadership that says so."""

    document: dict[str, Any]
    """The MCPGateway document, without a secret in it."""

    takes_back: Number | None = None
    """A newer generation that is withdrawn: a pod that runs it may go back to `generation`."""


class Probe(Message):
    """To a pod: ask these providers for the cheapest thing they have. Answered by `Probed`."""

    type: Literal["probe"] = "probe"

    id: Word
    """Comes back in the answer."""

    providers: Annotated[list[Word], Field(max_length=64)]
    """Names of providers of the document in force."""


class Grant(Message):
    """To a pod: what it may use from now on. Answered by `Report`."""

    type: Literal["grant"] = "grant"

    epoch: Number
    """Number of the leadership that says so."""

    sequence: Number
    """Number of the grant to this pod, within the epoch; from 1 on."""

    report_every: Annotated[float, Field(ge=0.01, le=60.0)] = 1.0
    """Seconds between two reports while something changes that others care about."""

    quotas: Annotated[list[Quota], Field(max_length=MAX_LIMITS)] = Field(default=[])
    """One for each limit that the operator governs."""

    peers: Annotated[list[Peer], Field(max_length=MAX_PEERS)] = Field(default=[])
    """Who holds slots of the limits of which this pod holds none."""


class Ping(Message):
    """To a pod: are you there? Answered by `Report`, where something changed, and `Pong`."""

    type: Literal["ping"] = "ping"


class Hello(Message):
    """From a pod, first on every channel: who it is and what it runs."""

    type: Literal["hello"] = "hello"

    pod: Word = ""
    """Its name; empty where it was not told."""

    version: Word = ""
    """Version of its program."""

    generation: Number = 0
    """The generation it runs; 0 where its document names none."""

    epoch: Number = 0
    """The highest epoch it has seen."""


class Ack(Message):
    """From a pod: this generation is in force here."""

    type: Literal["ack"] = "ack"

    generation: Number


class ConfigProblem(Observed):
    """One thing that is wrong with a document."""

    path: Text = ""
    """Where, in the document's own spelling."""

    message: Text
    """What is wrong. Never shows a secret."""

    expected: Text = ""
    """What would be right."""

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        wanted = f"; expected {self.expected}" if self.expected else ""
        return f"{place}{self.message}{wanted}"


class FoundProblem(Protocol):
    """A problem as whoever judged the document describes it."""

    @property
    def path(self) -> str:
        """Where."""

    @property
    def message(self) -> str:
        """What is wrong."""

    @property
    def expected(self) -> str:
        """What would be right."""


class Refused(Message):
    """From a pod: this generation was refused, and the last good one stays in force."""

    type: Literal["refused"] = "refused"

    generation: Number

    problems: Annotated[list[ConfigProblem], Field(max_length=MAX_PROBLEMS)]
    """Why; the first ones where there are many."""

    @classmethod
    def because(cls, generation: int, problems: Iterable[FoundProblem]) -> Refused:
        """Make one, cut to what a message may hold."""
        told = [
            ConfigProblem(
                path=problem.path[:MAX_TEXT],
                message=problem.message[:MAX_TEXT],
                expected=problem.expected[:MAX_TEXT],
            )
            for problem in problems
        ]
        return cls(generation=generation, problems=told[:MAX_PROBLEMS])

    def __str__(self) -> str:
        return "; ".join(str(problem) for problem in self.problems)


class ProbeResult(Observed):
    """What one provider answered."""

    provider: Word
    """Its name in the document."""

    state: ProbeState
    """What that means."""

    message: Text = ""
    """The same in a sentence. Never shows a secret."""


class Probed(Message):
    """From a pod: what it found when it asked."""

    type: Literal["probed"] = "probed"

    id: Word
    """The question's."""

    results: Annotated[list[ProbeResult], Field(max_length=64)]


class Report(Message):
    """From a pod: how its requests went. Counted from `since` on, so two reports subtract."""

    type: Literal["report"] = "report"

    epoch: Number = 0
    """The highest epoch it has heard; a report with a lower one than the operator's own may be
    outdated by a grant of the leader before."""

    sequence: Number = 0
    """Number of the grant in force, if it is of this epoch; else 0."""

    limits: Annotated[list[LimitReport], Field(max_length=MAX_LIMITS)] = Field(default=[])
    """The limits it knows."""

    requests: Number
    """Requests that ended, without those that the client gave up or that were no request."""

    errors: Number
    """Those of them that were refused or failed."""

    since: float
    """When the counts began, in seconds of Unix time: another number is another process."""


class Pong(Message):
    """From a pod: here I am."""

    type: Literal["pong"] = "pong"


_T = TypeVar("_T")

Down = Config | Grant | Probe | Ping
Up = Hello | Ack | Refused | Probed | Report | Pong

_DOWN: TypeAdapter[Down] = TypeAdapter(Annotated[Down, Field(discriminator="type")])
_UP: TypeAdapter[Up] = TypeAdapter(Annotated[Up, Field(discriminator="type")])


def read_down(text: str | bytes) -> Down | None:
    """Read a message to a pod; None for one of a type that is not known here.

    Raises:
        ProtocolError: it is no message.
    """
    return _read(_DOWN, text)


def read_up(text: str | bytes) -> Up | None:
    """Read a message from a pod; None for one of a type that is not known here.

    Raises:
        ProtocolError: it is no message.
    """
    return _read(_UP, text)


def _read(adapter: TypeAdapter[_T], text: str | bytes) -> _T | None:
    try:
        return adapter.validate_json(text)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "union_tag_invalid":
            return None
        place = ".".join(str(part) for part in first["loc"]) or "message"
        raise ProtocolError(f"no message of the control channel: {place}: {first['msg']}") from None
