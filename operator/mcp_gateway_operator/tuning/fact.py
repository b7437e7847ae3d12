"""What the tuner is told at each tick: the pods, and what the documents say of their accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mcp_gateway.api import AccountLimits
from mcp_gateway.api.control import Report

Mode = Literal["Off", "Recommend", "Auto"]


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod that is not known to be gone.

    Attributes:
        gateway: `namespace/name` of its MCPGateway.
        uid: its identity.
        name: its name, for people.
        address: `host:port` of its peer port; empty if unknown.
        connected: there is a channel to it now.
        deleting: it was told to go; it still drains.
        born_here: it was created during this leadership, so nobody else granted it anything.
        heard: when `report` came, on the tuner's clock; None if nothing came in this leadership.
        report: the last one.
    """

    gateway: str
    uid: str
    name: str
    address: str
    connected: bool
    deleting: bool
    born_here: bool
    heard: float | None
    report: Report | None


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """One provider of one gateway, by its document.

    Attributes:
        mode: what the tuner may do.
        frozen: a person stopped the ceiling from moving; dividing goes on.
        limits: what the provider allows, tier and stated limits together.
        by_model: the provider limits every model by itself.
        pod_cap: the most that one pod may have in flight, where a person said so.
        largest_replicas: the most pods the gateway may come to have.
    """

    mode: Mode
    frozen: bool
    limits: AccountLimits
    by_model: bool
    pod_cap: int | None
    largest_replicas: int


def frees(before: Report, after: Report) -> bool:
    """Whether a report tells of slots that another pod could use: worth a decision at once.

    A pod took a grant, gives back what it has above its share, or began anew.
    """
    if (before.sequence, before.epoch, before.since) != (
        after.sequence,
        after.epoch,
        after.since,
    ):
        return True
    used = {(limit.provider, limit.model): limit for limit in before.limits}
    for limit in after.limits:
        former = used.get((limit.provider, limit.model))
        if former is not None and former.in_flight > max(limit.in_flight, limit.share or 0):
            return True
    return False
