"""What one look at one gateway has found and done so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from mcp_gateway_operator.cluster import ClusterError, NotLeading, Refused
from mcp_gateway_operator.facts import Credentials, Document, Key

WAIT_FOR_COLLECTOR: Final = 5.0
"""Seconds until an object that is on its way out is looked at again, should no watch tell."""
_PASSING: Final = (404, 409)


class Story(NamedTuple):
    """Something that a person who asks what happened wants to read: an Event to be.

    Attributes:
        type: `Warning` when a person may have to act.
        reason: why, in CamelCase.
        action: what was done or judged, in CamelCase.
        note: the same for people.
    """

    type: Literal["Normal", "Warning"]
    reason: str
    action: str
    note: str


@dataclass(slots=True)
class Look:
    """One look.

    Attributes:
        key: whose.
        uid: the resource's.
        document: the wanted configuration, once it is known.
        promoted: the one that pods read at their start.
        credentials: what opens the control ports.
        taken: objects of our names that are somebody else's.
        refused: what the API server did not take, as sentences.
        missing: Secrets and keys that are not there, as sentences.
        upgrade: whether a new version of the operator has or waits for its turn here.
        failure: what is worth another try.
        again: seconds until a look should follow; None when a change will tell.
    """

    key: Key
    uid: str
    document: Document | None = None
    promoted: Document | None = None
    credentials: Credentials | None = None
    taken: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    upgrade: Literal["", "turn", "wait"] = ""
    failure: ClusterError | None = None
    again: float | None = None

    def look_again(self, delay: float) -> None:
        """Ask for a look in `delay` seconds at the latest."""
        self.again = delay if self.again is None else min(self.again, delay)

    def failed(self, what: str, error: ClusterError) -> None:
        """Take note of a failure.

        Raises:
            NotLeading: nothing may be written any more.
        """
        if isinstance(error, NotLeading):
            raise error
        if isinstance(error, Refused) and error.terminating:
            self.look_again(WAIT_FOR_COLLECTOR)
            return
        if isinstance(error, Refused) and error.status not in _PASSING:
            self.refused.append(f"{what}: {error}")
        self.failure = error
