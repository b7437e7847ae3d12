"""What an API server's answers mean to the operator.

```text
ClusterError
├─ Unreachable            no answer, or one that says: later
├─ NotLeading             nothing was sent: another replica may lead
└─ Refused(status)        an answer that says no
    ├─ Forbidden  403     a right is missing, or the namespace is on its way out
    ├─ NotFound   404
    ├─ Conflict   409     something changed in between, or is owned by someone else
    ├─ Gone       410     a watch's place in history is forgotten
    └─ Invalid    422     the object is wrong, and stays wrong
```
"""

from __future__ import annotations

from typing import Final


class ClusterError(Exception):
    """The API server could not do what was asked."""


class Unreachable(ClusterError):
    """No answer, or one that says: later.

    Attributes:
        retry_after: seconds that the server asks for; 0 where it says nothing.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotLeading(ClusterError):
    """A write was held back: this replica cannot be sure that it leads."""


class Refused(ClusterError):
    """An answer that says no.

    Attributes:
        status: the HTTP status.
        reason: the API's word for it.
        message: the API's sentence.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message or reason or f"status {status}")
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def terminating(self) -> bool:
        """The namespace is being deleted: nothing can be made there, and nothing needs to."""
        return self.status == 403 and "being terminated" in self.message


class Forbidden(Refused):
    """A right is missing, or the namespace is being deleted."""


class NotFound(Refused):
    """There is no such object, or no such kind."""


class Conflict(Refused):
    """It changed in between, or someone else owns the field."""


class Gone(Refused):
    """The place in history that a watch was to go on from is forgotten."""


class Invalid(Refused):
    """The object is wrong. Sending it again would not help."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        remedies = (remedy for words, remedy in _UNCHANGEABLE if words in message)
        super().__init__(status, reason, ": ".join((message, *remedies)))


_UNCHANGEABLE: Final = (
    (
        "updates to statefulset spec",
        "what differs, the size of its volumes above all, holds for a new one only: delete the"
        " StatefulSet with --cascade=orphan, and it is made anew; its pods go on, and the volumes"
        " there are keep their size",
    ),
    ("field is immutable", "delete the object, and it is made anew"),
)
"""Words of the API server about fields that cannot change, and what a person can do."""


def words(exc: Exception) -> str:
    """What another library's exception says; its name where it says nothing, as timeouts do."""
    return str(exc) or type(exc).__name__


_LATER: Final = frozenset({408, 429, 500, 502, 503, 504})
_CLASSES: Final = {403: Forbidden, 404: NotFound, 409: Conflict, 410: Gone, 422: Invalid}


def error_for(
    status: int, reason: str, message: str, retry_after: float = 0.0
) -> Unreachable | Refused:
    """The error that stands for an answer."""
    if status in _LATER:
        return Unreachable(message or reason or f"status {status}", retry_after)
    if status == 401:
        # Tokens are renewed while requests are under way: the next one has a new token.
        return Unreachable(message or "unauthorized", 1.0)
    return _CLASSES.get(status, Refused)(status, reason, message)
