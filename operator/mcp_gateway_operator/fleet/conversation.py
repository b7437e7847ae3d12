"""One pod's channel without the channel: what came, what is to be said, and when to give up.

Pure: texts and times come in, texts come out. `opened` begins a conversation and `closed` ends
it; facts about the pod outlive both, because a pod that cannot be heard still runs what it ran.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mcp_gateway.api.control import (
    HEARTBEAT,
    REPORT_EVERY,
    SILENCE,
    Ack,
    Config,
    Grant,
    Hello,
    Ping,
    Pong,
    Probe,
    Probed,
    Refused,
    Report,
    Up,
    read_up,
)
from mcp_gateway.errors import ProtocolError

HELLO_WITHIN: Final = 10.0
ACK_WITHIN: Final = 45.0
"""Seconds a pod may take to bring a document into force: it may have to drain what it replaces."""
MAX_INVALID: Final = 8
FLOOD_MESSAGES, FLOOD_SECONDS = 100, 5.0
"""More messages than this in so many seconds are no honest pod's, beside its reports."""
_REPORTS: Final = 4
"""Reports within `report_every` that are honest: one for the time, one for each grant, and as many
again because a network may hold them up and deliver them together."""


Pushed = Callable[[str, float], None]
"""Told of each answer to a configuration: `applied` or `refused`, and the seconds it took."""


def unobserved(_outcome: str, _seconds: float) -> None:
    """Note nothing."""


class GaveUp(Exception):
    """The conversation leads nowhere: close the channel and try again later."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one pod is to run.

    Attributes:
        config: the message that says so; `takes_back` is set when it is sent.
        newest: the highest generation that we have given out. A pod that runs a higher one got
            it from a leader who knew more: it is shown, and not taken back.
        text: the message, encoded once for all pods, where nothing is taken back.
    """

    config: Config
    newest: int
    text: str

    @classmethod
    def of(cls, config: Config, newest: int) -> Wanted:
        """Encode a configuration."""
        return cls(config, newest, config.encode())


class Conversation:
    """What one pod has said and is to be told.

    Args:
        pod: the name it must go by.
        pushed: told of each answer to a configuration.
        report_every: seconds between two reports of a busy pod.

    Attributes:
        connected: it has greeted us on the channel that is open.
        generation, epoch: what it said it runs, and whose word it has heard.
        refused: what it refused last, since it last accepted something.
        report: its last counts.
        reported: when they came; None before they did.
        probed: its last findings.
        problem: why there is no channel; empty where there is one.
    """

    def __init__(
        self, pod: str, pushed: Pushed = unobserved, *, report_every: float = REPORT_EVERY
    ) -> None:
        self.pod = pod
        self._pushed = pushed
        self.connected = False
        self.version = ""
        self.generation = 0
        self.epoch = 0
        self.refused: Refused | None = None
        self.report: Report | None = None
        self.reported: float | None = None
        self.probed: Probed | None = None
        self.problem = "not yet dialed"
        self._wanted: Wanted | None = None
        self._sent: tuple[Wanted, float] | None = None
        self._settled: Wanted | None = None
        self._grant: Grant | None = None
        self._granted: Grant | None = None
        self._questions: list[Probe | Ping] = []
        self._reminded = False
        self._opened = 0.0
        self._heard = 0.0
        self._pinged = 0.0
        self._invalid = 0
        flood = FLOOD_MESSAGES + math.ceil(_REPORTS * FLOOD_SECONDS / report_every)
        self._arrivals: deque[float] = deque(maxlen=flood)

    # --- what is wanted ------------------------------------------------------------------

    def want(self, wanted: Wanted | None) -> None:
        """State what the pod is to run."""
        self._wanted = wanted

    def ask(self, question: Probe | Ping) -> None:
        """Send a question with the next messages, if there is a channel by then."""
        if self.connected:
            self._questions.append(question)

    def grant(self, grant: Grant) -> None:
        """State what the pod may use: the newest word counts, and replaces one not yet sent."""
        self._grant = grant

    @property
    def asks(self) -> bool:
        """There is a question that was not sent yet."""
        return bool(self._questions)

    # --- the channel's life --------------------------------------------------------------

    def opened(self, now: float) -> None:
        """Begin: a channel is open."""
        self._opened = self._heard = self._pinged = now
        # What was said on a channel that broke may not have come; twice does no harm.
        self._sent = self._settled = self._granted = None
        self._questions.clear()
        self._reminded = False
        self._invalid = 0
        self._arrivals.clear()

    def closed(self, why: str) -> None:
        """End: the channel is gone."""
        self.connected = False
        self.problem = why

    def receive(self, text: str | bytes, now: float) -> Up | None:
        """Take a message, and return it; None for one that says nothing.

        Raises:
            GaveUp: the pod floods, sends what is no message too often, or is another pod.
        """
        self._heard = now
        full = len(self._arrivals) == self._arrivals.maxlen
        if full and now - self._arrivals[0] < FLOOD_SECONDS:
            raise GaveUp("the pod floods the channel")
        self._arrivals.append(now)
        try:
            message = read_up(text)
            if not self.connected and not isinstance(message, Hello):
                raise ProtocolError("expected hello first")
        except ProtocolError as exc:
            self._invalid += 1
            if self._invalid >= MAX_INVALID or not self.connected:
                raise GaveUp(f"the pod sends garbage: {exc}") from None
            return None
        if message is not None:
            self._take(message, now)
        return message

    def outgoing(self, now: float) -> list[str]:
        """Return what is to be said now; it counts as said.

        Raises:
            GaveUp: the pod has been silent for too long.
        """
        if not self.connected:
            if now - self._opened >= HELLO_WITHIN:
                raise GaveUp("the pod accepted the channel and says nothing")
            return []
        if now - self._heard >= SILENCE:
            raise GaveUp("the pod missed two heartbeats")
        if self._sent is not None and now - self._sent[1] >= ACK_WITHIN:
            raise GaveUp(f"the pod did not answer to generation {self._sent[0].config.generation}")
        texts = [self._send(now)] if self._must_send() else []
        texts += [question.encode() for question in self._questions]
        if any(isinstance(question, Ping) for question in self._questions):
            self._pinged = now
        self._questions.clear()
        if self._grant is not None and self._grant is not self._granted:
            # After a configuration of the same leadership: the pod knows its epoch by then.
            self._granted = self._grant
            texts.append(self._grant.encode())
        if now - self._pinged >= HEARTBEAT:
            self._pinged = now
            texts.append(Ping().encode())
        return texts

    def deadline(self) -> float:
        """When `outgoing` is to be asked again at the latest."""
        if not self.connected:
            return self._opened + HELLO_WITHIN
        deadlines = [self._pinged + HEARTBEAT, self._heard + SILENCE]
        if self._sent is not None:
            deadlines.append(self._sent[1] + ACK_WITHIN)
        return min(deadlines)

    # --- inside --------------------------------------------------------------------------

    def _must_send(self) -> bool:
        wanted = self._wanted
        if wanted is None or wanted is self._settled:
            return False
        if self._sent is not None:
            return self._sent[0] is not wanted
        # A new leader says it again even where nothing changed: the pod then knows its epoch,
        # and refuses the old leader from that moment on.
        return self.generation != wanted.config.generation or self.epoch < wanted.config.epoch

    def _send(self, now: float) -> str:
        wanted = self._wanted
        assert wanted is not None, "asked for only where something is wanted"
        self._sent = (wanted, now)
        self._remind()
        running = self.generation
        if wanted.config.generation < running <= wanted.newest:
            return wanted.config.model_copy(update={"takes_back": running}).encode()
        return wanted.text

    def _remind(self) -> None:
        """Ask for a report that shows our epoch, once: one with a lower epoch counts for nothing.

        The pod would send it by itself only seconds later.
        """
        latest = self._sent[0] if self._sent is not None else self._settled
        if latest is None or self.report is None or self._reminded:
            return
        if self.report.epoch < latest.config.epoch:
            self._reminded = True
            self._questions.append(Ping())

    def _take(self, message: Up, now: float) -> None:
        match message:
            case Hello():
                self._greeted(message)
            case Ack():
                self._acknowledged(message, now)
            case Refused():
                self.refused = message
                self._answered(message.generation, "refused", now)
            case Report():
                self.report, self.reported = message, now
                self._remind()
            case Probed():
                self.probed = message
            case Pong():
                pass

    def _greeted(self, hello: Hello) -> None:
        if hello.pod and hello.pod != self.pod:
            raise GaveUp(f"the address now belongs to pod {hello.pod}")
        self.connected, self.problem = True, ""
        self.version = hello.version
        self.generation, self.epoch = hello.generation, hello.epoch
        if self.refused is not None and self.refused.generation == hello.generation:
            self.refused = None

    def _acknowledged(self, ack: Ack, now: float) -> None:
        self.generation = ack.generation
        self.refused = None
        if self._answered(ack.generation, "applied", now):
            assert self._settled is not None, "set by the answer"
            self.epoch = max(self.epoch, self._settled.config.epoch)
        elif self._settled and self._settled.config.generation != ack.generation:
            self._settled = None  # somebody else moved it: say once more what we want

    def _answered(self, generation: int, outcome: str, now: float) -> bool:
        """Tell whether this answers what was sent last, and settle it if so."""
        if self._sent is None or self._sent[0].config.generation != generation:
            return False
        self._pushed(outcome, now - self._sent[1])
        self._settled, self._sent = self._sent[0], None
        return True
