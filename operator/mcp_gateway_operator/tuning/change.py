"""Changes of a ceiling, told so that a person understands them and is not flooded by them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a ceiling, or several that are told as one.

    Attributes:
        gateway: `namespace/name` of the MCPGateway.
        provider: the provider's name in its document.
        model: the model, where the provider limits every model by itself; else empty.
        before: the ceiling as it was told last; None where there was none.
        after: the ceiling now.
        reason: why, in words.
        at: when, on the tuner's clock.
        lowered: the provider allows less than was believed.
    """

    gateway: str
    provider: str
    model: str
    before: int | None
    after: int
    reason: str
    at: float
    lowered: bool

    def __str__(self) -> str:
        name = f"{self.provider} {self.model}" if self.model else self.provider
        moved = f"{self.after}" if self.before is None else f"{self.before} → {self.after}"
        return f"{name}: ceiling {moved}: {self.reason}"
