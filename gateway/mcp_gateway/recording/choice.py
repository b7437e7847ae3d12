"""What content a record keeps, by the words of the document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["metadata", "prompts", "responses", "all"]


@dataclass(frozen=True, slots=True)
class Kept:
    """Which bodies go into a record. What does not is never collected in the first place.

    Attributes:
        request: the client's request.
        response: the answer; of a stream, the data of its events.
    """

    request: bool
    response: bool


_KEPT: dict[str, Kept] = {
    "metadata": Kept(request=False, response=False),
    "prompts": Kept(request=True, response=False),
    "responses": Kept(request=False, response=True),
    "all": Kept(request=True, response=True),
}


def kept(mode: Mode, override: Mode | None = None) -> Kept:
    """The choice of a mode, or of a route's own where it has one. Compile it with the route."""
    return _KEPT[override or mode]
