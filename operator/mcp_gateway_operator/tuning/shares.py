"""The division of one quantity among pods.

Where there is enough for what everybody uses and waits for, each gets that and an even part of
the slack, so that an arrival anywhere starts at once. Where there is not, it is max-min fair: who
wants little gets it, and the others get the same. So no waiter anywhere starves, and a pod that
claims an absurd demand gains nothing by it.

Moving is apart from what is due: only what nobody holds is given, so to raise one pod another has
to be lowered first and to say so. That is done as far as somebody is in need of it; otherwise now
and then, and only where the shares are far from what is due, so an idle fleet is left in peace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mcp_gateway_operator.tuning.held import Part


@dataclass(slots=True)
class Claim:
    """One pod that takes part in a division.

    Attributes:
        part: what it holds.
        floor: the least it should get where there is enough for everybody's.
        cap: the most it may get; None where nobody said so.
    """

    part: Part
    floor: int = 0
    cap: int | None = None


def level(total: int, demands: Sequence[int], had: Sequence[int] = ()) -> list[int]:
    """Max-min fair parts of `total`: nobody gets more than its demand, whole numbers.

    Args:
        total: what there is.
        demands: what each wants.
        had: what each has by now. What does not go round stays with those who have most: it
            would else wander with every change of who wants most, and stand empty on the way.
    """
    parts = [0] * len(demands)
    left = max(0, total)
    order = sorted(range(len(demands)), key=demands.__getitem__)
    for place, index in enumerate(order):
        each, over = divmod(left, len(order) - place)
        if demands[index] > each:
            rest = order[place:]
            for one in rest:
                parts[one] = each
            for one in sorted(rest, key=(had or demands).__getitem__)[len(rest) - over :]:
                parts[one] += 1
            break
        parts[index] = demands[index]
        left -= demands[index]
    return parts


def set_targets(total: int, claims: Sequence[Claim]) -> None:
    """Find out what is due to each."""
    floors = [_capped(claim.floor, claim) for claim in claims]
    had = [claim.part.last for claim in claims]
    if sum(floors) > total:
        # Not even those: then the order of the claims says whose turn it is.
        floors, had = [0] * len(claims), []
    wants = [
        max(floor, _capped(claim.part.demand, claim))
        for floor, claim in zip(floors, claims, strict=True)
    ]
    spare = total - sum(wants)
    if spare < 0:
        above = [want - floor for want, floor in zip(wants, floors, strict=True)]
        more = level(total - sum(floors), above, had)
        wants = floors
    else:
        more = level(spare, [_capped(total, claim) - want
                             for want, claim in zip(wants, claims, strict=True)], had)  # fmt: skip
    for claim, want, extra in zip(claims, wants, more, strict=True):
        claim.part.target = want + extra


def give(free: int, parts: Iterable[Part]) -> int:
    """Raise parts toward what is due to them, from what nobody holds; return what is left.

    Raising one up to what it holds anyway costs nothing.
    """
    lacking = [part for part in parts if part.target > part.wanted]
    for part in lacking:
        part.wanted = max(part.wanted, min(part.target, part.held))
    costs = level(free, [max(0, part.target - part.held) for part in lacking])
    for part, cost in zip(lacking, costs, strict=True):
        if cost:
            part.wanted = max(part.wanted, part.held) + cost
    return max(0, free) - sum(costs)


def divide(
    total: int,
    claims: Sequence[Claim],
    *,
    others: int = 0,
    tidy: bool = False,
    grain: float = 0.0,
) -> None:
    """Decide what each part's next grant says.

    Args:
        total: all there is of the quantity.
        claims: who takes part.
        others: what is held by whoever does not take part.
        tidy: also bring shares near to what is due that nobody is in need of.
        grain: the part of a share below which nothing is taken from one to give to another.
    """
    parts = [claim.part for claim in claims]
    set_targets(total - others, claims)
    granted = 0
    held = others
    for claim in claims:
        part = claim.part
        part.wanted = part.last if claim.cap is None else min(part.last, claim.cap)
        granted += part.wanted
        held += part.held
    _lower(granted + others - total, parts)
    if held > total and not all(part.confirmed for part in parts):
        # More is claimed than there is, so somebody's word is wrong: have them all begin at none.
        for part in parts:
            if not part.confirmed:
                part.wanted = 0
        return
    needy = [part for part in parts if part.pressed and part.target > part.wanted]
    free = total - held
    if needy:
        needy.sort(key=_by_waiting)
        short = [part for part in needy if part.target - part.wanted > grain * part.wanted]
        before = sum(max(part.wanted, part.held) for part in short)
        due = sum(max(part.target, part.held) for part in short)
        given = give(free, [part for part in needy if part.waiting])
        free = give(given, needy)
        coming = sum(part.held - max(part.wanted, part.used) for part in parts)
        _lower(due - before - max(0, total - held) - max(0, coming), parts)
    if tidy and _untidy(parts):
        for part in parts:
            part.wanted = min(part.wanted, part.target)
        give(free, parts)


def _by_waiting(part: Part) -> bool:
    return not part.waiting


def _capped(amount: int, claim: Claim) -> int:
    return amount if claim.cap is None else min(amount, claim.cap)


def _lower(excess: int, parts: Sequence[Part]) -> None:
    """Take `excess` from those that have more than is due to them, from each the same."""
    if excess <= 0:
        return
    donors = [part for part in parts if part.wanted > part.target]
    for part, less in zip(
        donors, level(excess, [part.wanted - part.target for part in donors]), strict=True
    ):
        part.wanted -= less


def _untidy(parts: Sequence[Part]) -> bool:
    """Whether a share is far from what is due: by more than a quarter, and by more than one."""
    return any(abs(part.target - part.wanted) > max(1, part.target // 4) for part in parts)
