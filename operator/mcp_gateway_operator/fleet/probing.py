"""When to ask providers how they are, and through which pod.

One pod asks for all: Kimi's lowest tier allows three requests a minute. Pure; time is passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from mcp_gateway_operator.facts import Probed

GAP: Final = 20.0
"""Seconds between two questions at least: three a minute."""
WHILE_HEALTHY: Final = 300.0
WHILE_NOT: Final = 20.0
ANSWER_WITHIN: Final = 45.0


Subject = tuple[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The last question, and what is known.

    Attributes:
        subject: what was asked about, generation and providers: another one asks again.
        pod: who was asked; empty before the first time.
        id: of the question that is open; empty where none is.
        at: when.
        found: the last findings.
    """

    subject: Subject = (0, ())
    pod: str = ""
    id: str = ""
    at: float = float("-inf")
    found: tuple[Probed, ...] = ()


def due(asked: Asked, subject: Subject, now: float) -> float:
    """Seconds until the next question; 0.0 for now."""
    if asked.id:
        return max(0.0, asked.at + ANSWER_WITHIN - now)
    if subject != asked.subject:
        wait = GAP
    elif all(found.state == "Healthy" for found in asked.found):
        wait = WHILE_HEALTHY
    else:
        wait = WHILE_NOT
    return max(0.0, asked.at + wait - now)


def chosen(pods: Mapping[str, int], generation: int, last: str) -> str:
    """The pod to ask: one that runs `generation`, the one of last time if it can; or none.

    Args:
        pods: generation by pod, of those that serve and are connected.
        generation: what is asked about.
        last: who was asked last.
    """
    able = sorted(name for name, running in pods.items() if running == generation)
    if last in able:
        return last
    return able[0] if able else ""


def answered(asked: Asked, found: tuple[Probed, ...]) -> Asked:
    """Take the findings, in the document's order; a provider nobody spoke of keeps its last."""
    known = {probed.provider: probed for probed in (*asked.found, *found)}
    return replace(
        asked, id="", found=tuple(known[name] for name in asked.subject[1] if name in known)
    )
