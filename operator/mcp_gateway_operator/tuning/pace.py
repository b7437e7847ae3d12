"""How fast the tuner does things: every time constant of the control law, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between and during the tuner's steps.

    Attributes:
        tick: between two decisions on a ceiling; also what busy pods report by.
        hold: without a probe after a refusal, the first time.
        longest_hold: the most it doubles to while probes go on being refused.
        settle: between two tidyings of shares that nobody is in need of.
        resend: after which a grant that was not acknowledged is said again.
        listen: for which a new leader waits for fleets of which it has heard no pod.
        demand: over which arrivals and service times are averaged.
        warm: for which a pod's connections are kept for the most that it needed.
        turn: after which a lone slot goes to another gateway that waits for it.
        tell: in which raises of a ceiling become one change, and so do further cuts.
        linger: that a request lasts at most, and for which an unused limit is remembered.
        minute: for which a begun request counts against a rate. The provider's minute, and a
            second for the way there: it does not shrink with the others.
    """

    tick: float = 1.0
    hold: float = 5.0
    longest_hold: float = 60.0
    settle: float = 5.0
    resend: float = 3.0
    listen: float = 35.0
    demand: float = 15.0
    warm: float = 300.0
    turn: float = 10.0
    tell: float = 60.0
    linger: float = 600.0
    minute: float = 61.0

    @classmethod
    def of(cls, tick: float) -> Pace:
        """The same law at another speed: everything in proportion to `tick`."""
        return cls(
            tick=tick,
            hold=5.0 * tick,
            longest_hold=60.0 * tick,
            settle=5.0 * tick,
            resend=3.0 * tick,
            listen=35.0 * tick,
            demand=15.0 * tick,
            warm=300.0 * tick,
            turn=10.0 * tick,
            tell=60.0 * tick,
            linger=600.0 * tick,
        )
