"""What the shipper needs of the place that records go to, and the four ways it can say no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Undelivered(Exception):
    """A batch did not arrive, as far as is known.

    Attributes:
        code: the destination's own code: an SQLSTATE, a PostgREST code or an HTTP status.
    """

    def __init__(self, reason: str, *, code: str = "") -> None:
        super().__init__(reason)
        self.code = code


class Unavailable(Undelivered):
    """Nothing is known about the records: the destination is away, slow, or too busy.

    Attributes:
        answered: it did answer, with an error that might be about these records.
        slow: it took longer than was allowed; a smaller batch may pass.
        retry_after: seconds it asks to wait, where it says so.
    """

    def __init__(
        self,
        reason: str,
        *,
        code: str = "",
        answered: bool = False,
        slow: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason, code=code)
        self.answered = answered
        self.slow = slow
        self.retry_after = retry_after


class Misconfigured(Undelivered):
    """A person must do something first: give another key, apply the migration.

    Attributes:
        remedy: the SQL to run, where that is the remedy.
    """

    def __init__(self, reason: str, *, code: str = "", remedy: str = "") -> None:
        super().__init__(reason, code=code)
        self.remedy = remedy


class TooLarge(Undelivered):
    """The batch is larger than the destination takes at once."""


class Rejected(Undelivered):
    """At least one record of the batch breaks a rule of the destination, and always will."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What opens the destination.

    Attributes:
        key: says who is calling.
        api_key: opens the front door where `key` does not; None where it does.
    """

    key: str = field(repr=False)
    api_key: str | None = field(default=None, repr=False)


class Destination(Protocol):
    """Where records go. Called by several threads at once."""

    def send(self, bodies: Sequence[str]) -> None:
        """Store records, given as JSON objects; those that are there already are left alone.

        An empty batch checks the address, the key and the schema.

        Raises:
            Undelivered: as its subclasses say. Some of the batch may have been stored.
        """

    def credential_changed(self, credential: Credential) -> None:
        """Use another credential from the next call on."""

    def close(self) -> None:
        """Close connections. Idempotent."""
