"""A few well-behaved pods and the tuner that speaks to them, without any time between."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mcp_gateway.api import AccountLimits
from mcp_gateway.api.control import Grant, Report
from mcp_gateway.api.quota import LimitReport, Quota
from mcp_gateway_operator.tuning import AccountSpec, Decision, LimitView, Pace, PodState, Tuner

GATEWAY = "shop/gateway"


def spec(
    concurrency: int | None = 100,
    *,
    rpm: int | None = None,
    mode: str = "Auto",
    frozen: bool = False,
    pod_cap: int | None = None,
) -> AccountSpec:
    limits = AccountLimits(concurrency=concurrency, requests_per_minute=rpm)
    return AccountSpec(mode, frozen, limits, False, pod_cap, 8)  # type: ignore[arg-type]


@dataclass
class FakePod:
    """What a pod reports; grants are taken when they come."""

    name: str
    gateway: str = GATEWAY
    limit: LimitReport = field(
        default_factory=lambda: LimitReport(provider="kimi", account="a", share=0)
    )
    others: list[LimitReport] = field(default_factory=list)
    epoch: int = 1
    sequence: int = 0
    since: float = 1.0
    connected: bool = True
    deleting: bool = False
    born_here: bool = True
    deaf: bool = False
    grant: Grant | None = None
    report: Report | None = None

    def use(self, in_flight: int, waiting: int = 0) -> None:
        """Say how many are in flight and wait."""
        self.say(in_flight=in_flight, waiting=waiting)

    def say(self, **values: object) -> None:
        """Say something else."""
        self.limit = self.limit.model_copy(update=values)
        self.report = None

    def refuse(self, at: int, total: int) -> None:
        """Say that the provider refused."""
        self.say(in_flight_at_refusal=at, refusals={"concurrency": total}, limit=at)

    def take(self, grant: Grant) -> None:
        """Take a grant."""
        self.grant = grant
        self.epoch, self.sequence = grant.epoch, grant.sequence
        quota = self.quota()
        if quota is not None:
            self.say(share=quota.share, limit=quota.share, in_flight_at_refusal=None,
                     requests_per_minute=quota.requests_per_minute)  # fmt: skip
        self.report = None

    def quota(self, model: str = "") -> Quota | None:
        """What it was granted."""
        found = self.grant.quotas if self.grant else []
        return next((quota for quota in found if quota.model == model), None)

    @property
    def share(self) -> int:
        """Its share."""
        quota = self.quota()
        return 0 if quota is None else quota.share or 0

    def state(self, now: float) -> PodState:
        """What the operator knows."""
        if self.report is None:
            self.report = Report(
                epoch=self.epoch, sequence=self.sequence, limits=[self.limit, *self.others],
                requests=0, errors=0, since=self.since,
            )  # fmt: skip
        address = f"{self.name}:9082"
        return PodState(self.gateway, f"uid-{self.name}", self.name, address, self.connected,
                        self.deleting, self.born_here, now, self.report)  # fmt: skip


class FakeFleet:
    """Pods and their tuner."""

    def __init__(
        self,
        pods: int,
        account: AccountSpec | None = None,
        known: dict[tuple[str, str, str], int] | None = None,
    ) -> None:
        self.now = 100.0
        self.pods = [FakePod(f"pod-{n}") for n in range(pods)]
        self.specs = {(GATEWAY, "kimi"): account or spec()}
        self.tuner = Tuner(Pace(), 1, known)
        self.sent = 0
        self.changes: list[str] = []

    def tick(self, times: int = 1) -> Decision:
        """Let seconds pass; every pod takes what it is told."""
        decision = Decision({}, {}, [])
        for _ in range(times):
            self.now += 1.0
            states = [pod.state(self.now) for pod in self.pods]
            decision = self.tuner.tick(self.now, states, self.specs)
            self.changes += map(str, decision.changes)
            self.sent += len(decision.grants)
            for pod in self.pods:
                grant = decision.grants.get(f"uid-{pod.name}")
                if grant is not None and not pod.deaf:
                    pod.take(grant)
        return decision

    def view(self, site: tuple[str, str] = (GATEWAY, "kimi")) -> LimitView:
        """The first limit, as people see it."""
        return self.tick().views[site][0]

    def restate(self, **changes: object) -> None:
        """Change the document."""
        before = self.specs[GATEWAY, "kimi"]
        self.specs[GATEWAY, "kimi"] = replace(before, **changes)  # type: ignore[arg-type]

    @property
    def shares(self) -> list[int]:
        """What the pods have."""
        return [pod.share for pod in self.pods]
