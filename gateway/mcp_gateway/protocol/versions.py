"""The revisions of MCP that are served, and the two eras they fall into.

A revision is a member of `Revision` or it is unknown: the dates are never compared as strings,
because their order says nothing about what a peer understands.
"""

from __future__ import annotations

from enum import Enum, StrEnum


class Era(Enum):
    """How a peer says who it is: once, in a handshake, or again with every request."""

    HANDSHAKE = "handshake"
    STATELESS = "stateless"


class Revision(StrEnum):
    """A dated revision of the specification."""

    R2024_11_05 = "2024-11-05"
    R2025_03_26 = "2025-03-26"
    R2025_06_18 = "2025-06-18"
    R2025_11_25 = "2025-11-25"
    R2026_07_28 = "2026-07-28"


STATELESS_REVISIONS = (Revision.R2026_07_28,)
"""Revisions whose requests each carry `_meta` and need no handshake."""

HANDSHAKE_REVISIONS = (
    Revision.R2024_11_05,
    Revision.R2025_03_26,
    Revision.R2025_06_18,
    Revision.R2025_11_25,
)
"""Revisions opened by `initialize`. The two oldest are answered for clients that ask for them by
name; batches, which only 2025-03-26 had, are refused in all of them."""

ASSUMED_REVISION = Revision.R2025_03_26
"""What an HTTP request of the handshake era speaks when it has no `MCP-Protocol-Version` header.
MCP 2025-11-25 §transports, "Protocol Version Header"."""

NEWEST_HANDSHAKE = Revision.R2025_11_25
"""The counter-offer to an `initialize` that asks for an unknown revision."""

_HANDSHAKE = {str(revision): revision for revision in HANDSHAKE_REVISIONS}
_STATELESS = {str(revision): revision for revision in STATELESS_REVISIONS}


def handshake_revision(text: str) -> Revision | None:
    """Return the handshake-era revision of that name, or None."""
    return _HANDSHAKE.get(text)


def stateless_revision(text: str) -> Revision | None:
    """Return the stateless-era revision of that name, or None."""
    return _STATELESS.get(text)


def negotiate(requested: str) -> Revision:
    """Return the revision to answer an `initialize` with.

    MCP 2025-11-25 §lifecycle, "Version Negotiation": the requested revision where it is served,
    else another one that is; the client disconnects if it cannot speak it.
    """
    return _HANDSHAKE.get(requested, NEWEST_HANDSHAKE)


def every_revision() -> list[str]:
    """Return the names of all served revisions, oldest first."""
    return [str(revision) for revision in (*HANDSHAKE_REVISIONS, *STATELESS_REVISIONS)]
