"""How long the phases of one upstream request may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long an upstream may take, in seconds.

    Attributes:
        connect: until a connection is usable: name, TCP, proxy and TLS together.
        first_byte: from the request's writing until the first byte of an answer.
        idle: between two pieces of an answer. A reader that is slow itself does not count.
        total: from the request's writing until the end of the answer.
    """

    connect: float = 5.0
    first_byte: float = 60.0
    idle: float = 120.0
    total: float = 600.0
