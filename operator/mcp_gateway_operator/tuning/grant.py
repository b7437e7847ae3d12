"""When a pod is told something anew, and what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mcp_gateway.api.control import Grant
from mcp_gateway.api.quota import MAX_LIMITS, MAX_PEERS, MAX_TEXT, Peer, Quota
from mcp_gateway_operator.tuning.account import Limit
from mcp_gateway_operator.tuning.pace import Pace
from mcp_gateway_operator.tuning.pod import Member, Pod
from mcp_gateway_operator.tuning.slots import peers_of

Neighbours = Mapping[tuple[str, str, str, str], Sequence[Member]]
"""Who uses a limit under one name: by gateway, provider, account and model."""


class Herald:
    """Says to pods what was decided, where it is not what they were told before.

    A grant that was not acknowledged is not followed by another at once, unless that lowers a
    share; after a while it is said again, for it may have been lost.

    Args:
        pace: time constants.
        epoch: number of the leadership.
    """

    def __init__(self, pace: Pace, epoch: int) -> None:
        self._pace = pace
        self._epoch = epoch

    def speak(
        self, now: float, pod: Pod, limits: Mapping[tuple[str, str], Limit], around: Neighbours
    ) -> Grant | None:
        """What to tell a pod now, if anything."""
        if not pod.reachable:
            return None
        members = [member for member in pod.members.values() if member.auto][:MAX_LIMITS]
        if not members or (
            not pod.sequence and any(limits[m.account, m.model].waits(now) for m in members)
        ):
            return None
        peers = _peers(members, around)
        routes = frozenset((peer.address, peer.provider, peer.model) for peer in peers)
        waited = now - pod.sent_at
        overdue = not pod.answered and waited >= self._pace.resend
        if not (overdue or self._moved(now, pod, members, limits) or routes != pod.peers):
            return None
        if not pod.answered and not overdue and not any(map(_lowers, members)):
            return None
        pod.last += 1
        pod.sent_at = now
        pod.peers = routes
        return Grant(
            epoch=self._epoch,
            sequence=pod.last,
            report_every=min(max(self._every(members, limits), 0.01), 60.0),
            quotas=[self._quota(now, one, limits[one.account, one.model]) for one in members],
            peers=peers,
        )

    def _every(self, members: Iterable[Member], limits: Mapping[tuple[str, str], Limit]) -> float:
        """Seconds between reports.

        Where a ceiling is tried out, one is due before each tick; and where a pod has to give
        slots up as its requests end, each of them stands empty until it is told.
        """
        ceilings = (limits[one.account, one.model].ceiling for one in members)
        if any(map(_drains, members)):
            return self._pace.tick / 5
        probing = any(one is not None and one.probing for one in ceilings)
        return self._pace.tick * (0.45 if probing else 1.0)

    def _moved(
        self,
        now: float,
        pod: Pod,
        members: Iterable[Member],
        limits: Mapping[tuple[str, str], Limit],
    ) -> bool:
        if not pod.last:
            return True
        for member in members:
            if any(part.wanted != part.last for part in member.parts):
                return True
            if member.cut and not member.fresh_refusals:
                ceiling = limits[member.account, member.model].ceiling
                if ceiling is None or not ceiling.resting(now):
                    return True
            if now - pod.sent_at >= 2 * self._pace.demand and _cooled(now, member):
                return True
        return False

    def _quota(self, now: float, member: Member, limit: Limit) -> Quota:
        sequence = member.pod.last
        slots, requests, tokens = (
            None if part is None else part.send(sequence)
            for part in (member.slots, member.requests, member.tokens)
        )
        member.warm = member.flow.warm(now, _most(member))
        return Quota(
            provider=member.provider,
            model=member.model,
            account=member.account,
            share=slots,
            requests_per_minute=requests,
            tokens_per_minute=tokens,
            warm=member.warm,
            ceiling=limit.ceiling.value if limit.ceiling is not None else None,
            reason=limit.ceiling.reason[:MAX_TEXT] if limit.ceiling is not None else "",
        )


def _drains(member: Member) -> bool:
    return member.slots is not None and member.slots.used > member.slots.wanted


def _lowers(member: Member) -> bool:
    return any(part.wanted < part.last for part in member.parts)


def _most(member: Member) -> int:
    return member.slots.wanted if member.slots is not None else 2**31


def _cooled(now: float, member: Member) -> bool:
    """Whether the connections worth keeping are far from what the pod was told."""
    warm = member.flow.warm(now, _most(member))
    if not warm or not member.warm:
        return warm != member.warm
    return abs(warm - member.warm) > max(2, member.warm // 4)


def _peers(members: Iterable[Member], around: Neighbours) -> list[Peer]:
    peers = [
        Peer(address=address, provider=one.provider, model=one.model, share=share)
        for one in members
        for address, share in peers_of(one, around.get((*one.site, one.account, one.model), ()))
    ]
    return peers[:MAX_PEERS]
