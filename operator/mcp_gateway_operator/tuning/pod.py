"""What the tuner knows of one pod: what it was sent, what it answered, what it uses.

Reports may come late, twice or out of order; an old process's may come after a new one's. Only
one that cannot be outdated is taken: of this leadership, and of a grant that is not older than
the one last acknowledged.
"""

from __future__ import annotations

from typing import Final

from mcp_gateway.api.control import Report
from mcp_gateway.api.quota import LimitReport
from mcp_gateway_operator.tuning.fact import AccountSpec, PodState
from mcp_gateway_operator.tuning.held import Part
from mcp_gateway_operator.tuning.pace import Pace
from mcp_gateway_operator.tuning.warm import Flow

Site = tuple[str, str]
"""A gateway, and the name that it gives to a provider."""

NOTHING: Final = LimitReport(provider="")
"""What a pod says of a limit that it was granted and does not know yet."""

ABSURD: Final = 2**52
"""Sequence numbers from here on are nobody's."""

MOST_REFUSALS: Final = 10_000
"""Refusals that one report is believed to add."""


class Member:
    """One pod's use of one limit.

    Attributes:
        pod: whose.
        site: its gateway, and the provider's name there.
        provider, model, account: of what. One pod may have two providers of one account.
        report: the last word on it.
        spec: the provider as the document has it now; None where that has it no more.
        slots: requests in flight.
        requests, tokens: the rates; None where none is stated.
        flow: arrivals and service times.
        fresh: it was heard since it was last looked at.
        fresh_refusals: concurrency refusals since they were last looked at.
        governed: it was `auto` when its parts were last looked at.
        warm: what the last grant said.
    """

    __slots__ = (
        "_refusals",
        "account",
        "flow",
        "fresh",
        "fresh_refusals",
        "governed",
        "model",
        "pod",
        "provider",
        "report",
        "requests",
        "site",
        "slots",
        "spec",
        "tokens",
        "warm",
    )

    def __init__(self, pod: Pod, provider: str, model: str, account: str, pace: Pace) -> None:
        self.pod = pod
        self.site: Site = (pod.state.gateway, provider)
        self.provider = provider
        self.model = model
        self.account = account
        self.report = NOTHING
        self.spec: AccountSpec | None = None
        self.slots: Part | None = None
        self.requests: Part | None = None
        self.tokens: Part | None = None
        self.flow = Flow(pace.demand, pace.warm)
        self.fresh = False
        self.fresh_refusals = 0
        self.governed = False
        self.warm = 0
        self._refusals = 0

    @property
    def auto(self) -> bool:
        """The operator says what it may use."""
        return self.spec is not None and self.spec.mode == "Auto"

    @property
    def parts(self) -> list[Part]:
        """Its parts of whatever is governed."""
        return [p for p in (self.slots, self.requests, self.tokens) if p is not None]

    @property
    def known(self) -> bool:
        """The pod itself spoke of this limit."""
        return self.report is not NOTHING

    @property
    def grantable(self) -> bool:
        """It may be given more now."""
        return self.auto and self.pod.reachable and not self.pod.state.deleting

    @property
    def cut(self) -> bool:
        """A refusal cut its limit, and it waits for a word."""
        return self.report.in_flight_at_refusal is not None and self.pod.answered

    def at_refusal(self) -> int:
        """Requests in flight when it was last refused; now, if it was not.

        Now it may have as many more as are just being refused. One that has more than that was
        not refused at what it says.
        """
        most = self.slots.held if self.slots is not None else 0
        now = min(self.report.in_flight, most)
        told = self.report.in_flight_at_refusal
        if not self.fresh_refusals or told is None or now - told > self.fresh_refusals + 1:
            return now
        return min(told, most)

    def hear(
        self, now: float, report: LimitReport, *, restarted: bool, inherited: bool = False
    ) -> None:
        """Take what the pod says of it; what is `inherited` was told to another leader."""
        if restarted:
            self.flow.restart()
            self._refusals = 0
        total = report.refusals.get("concurrency", 0)
        if inherited:
            self._refusals = total
        if total > self._refusals:
            self.fresh_refusals += min(total - self._refusals, MOST_REFUSALS)
        self._refusals = total
        self.report = report
        self.fresh = True
        self.flow.hear(now, report)
        sequence = self.pod.sequence
        for part, used in (
            (self.slots, report.in_flight),
            (self.requests, report.requests_in_window),
            (self.tokens, report.tokens_in_window),
        ):
            if part is not None:
                part.hear(now, sequence, used)


class Pod:
    """One pod that is there.

    Attributes:
        state: as it was told last.
        members: by provider and model, the limits it uses.
        sequence: number of the grant that it last acknowledged; 0 for none.
        last: number of the grant that it was last sent; 0 for none.
        sent_at: when that was.
        heard: it spoke in this leadership.
        foreign: it follows a later leader: nothing that it gives up is ours to give.
        peers: the addresses that its last grant named, by provider and model.
    """

    __slots__ = (
        "_ignored",
        "_since",
        "foreign",
        "heard",
        "last",
        "members",
        "peers",
        "report",
        "sent_at",
        "sequence",
        "state",
    )

    def __init__(self, state: PodState) -> None:
        self.state = state
        self.members: dict[tuple[str, str], Member] = {}
        self.report: Report | None = None
        self.sequence = 0
        self.last = 0
        self.sent_at = float("-inf")
        self.heard = False
        self.foreign = False
        self.peers: frozenset[tuple[str, str, str]] = frozenset()
        self._ignored: Report | None = None
        self._since = float("-inf")

    @property
    def reachable(self) -> bool:
        """It can be sent a grant, and will take it."""
        return self.state.connected and self.heard and not self.foreign

    @property
    def answered(self) -> bool:
        """It runs what it was last sent."""
        return self.sequence >= self.last

    def accept(self, report: Report, epoch: int) -> bool | None:
        """Judge a report, and take its numbers.

        Returns:
            None for one that is not to be believed or is known; else whether it is the first of
            another process.
        """
        if report is self.report or report is self._ignored:
            return None
        if not self._current(report, epoch):
            self._ignored = report
            return None
        restarted = self.heard and report.since != self._since
        self._since = report.since
        self.report = report
        self.foreign = False
        if report.sequence > self.last:
            # Of this leadership, yet of no grant of ours: a process of ours that ended before
            # it could note it. Only a higher number will be taken. It acknowledges nothing.
            self.sequence, self.last = (report.sequence if not self.last else 0), report.sequence
        else:
            self.sequence = report.sequence
        self.heard = True
        return restarted

    def _current(self, report: Report, epoch: int) -> bool:
        another = report.since > self._since
        if report.epoch > epoch:
            if self.heard and (another or report.since == self._since):
                self.foreign = True
            return False
        if report.epoch < epoch or report.sequence >= ABSURD:
            return False
        if not self.heard or another:
            return True
        if self.foreign:
            return False
        return report.sequence >= self.sequence and (
            report.since == self._since or report.sequence > self.sequence
        )
