"""Deliver one batch, and find the records in it that can never be delivered.

A batch that is rejected is halved until what is rejected is single records. An answer that
does not say whose fault it is (a proxy's 403, a 409 from nowhere) never condemns a record by
itself: only if the destination accepts another record in the same moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mcp_gateway.recording.destination import Rejected, TooLarge, Unavailable, Undelivered
from mcp_gateway.recording.spool import DeadLetter, Stored

Send = Callable[[Sequence[str]], None]
Another = Callable[[], Stored | None]


def deliver(
    rows: Sequence[Stored], send: Send, *, another: Another, suspicious: bool = False
) -> list[DeadLetter]:
    """Send a batch; the records that will never arrive come back with the reason.

    Args:
        rows: the batch, oldest first.
        send: sends JSON objects. See `Destination.send`.
        another: some record outside the batch, to see whether the destination takes any.
        suspicious: these records were refused several times without a clear reason.

    Raises:
        Undelivered: the batch is to be sent again later, all of it.
    """
    try:
        send([row.body for row in rows])
    except (Rejected, TooLarge) as error:
        return _Search(send, another, suspicious=suspicious).run(rows, error)
    except Unavailable as error:
        if not (suspicious and error.answered):
            raise
        return _Search(send, another, suspicious=True).run(rows, error)
    return []


class _Search:
    """One search for the records that a rejected batch was rejected for."""

    def __init__(self, send: Send, another: Another, *, suspicious: bool) -> None:
        self._send = send
        self._another = another
        self._suspicious = suspicious
        self._accepts = False
        self._dead: list[DeadLetter] = []
        self._unsure: Undelivered | None = None

    def run(self, rows: Sequence[Stored], error: Undelivered) -> list[DeadLetter]:
        if isinstance(error, Rejected):
            self._acquit_destination()
        elif not isinstance(error, TooLarge):
            self._probe(rows, error)  # one call now, or twice as many as there are records
        self._split(rows, error)
        if self._unsure is not None and not self._accepts:
            self._probe(rows, self._unsure)
        return self._dead

    def _acquit_destination(self) -> None:
        """An empty batch breaks no rule: where it is rejected too, no record is at fault."""
        try:
            self._send(())
        except Rejected as error:
            raise Unavailable(str(error), code=error.code, answered=True) from error

    def _split(self, rows: Sequence[Stored], error: Undelivered) -> None:
        if len(rows) > 1:
            middle = len(rows) // 2
            self._try(rows[:middle])
            self._try(rows[middle:])
            return
        if not isinstance(error, Rejected):
            self._unsure = error
        code = f"{error.code}: " if error.code else ""
        self._dead.append(DeadLetter(rows[0].seq, f"{code}{error}"))

    def _try(self, rows: Sequence[Stored]) -> None:
        try:
            self._send([row.body for row in rows])
        except (Rejected, TooLarge) as error:
            self._split(rows, error)
        except Unavailable as error:
            if not (self._suspicious and error.answered):
                raise
            self._split(rows, error)
        else:
            self._accepts = True

    def _probe(self, rows: Sequence[Stored], error: Undelivered) -> None:
        """Make sure that the destination takes other records, or leave these where they are."""
        row = self._another()
        if row is None or row.seq <= rows[-1].seq:
            raise Unavailable(str(error), code=error.code, answered=True)
        self._send([row.body])
        self._accepts = True
