"""Tuning: keeps every provider account full and never overrun, as pure decisions.

An account's limits are shared by every pod of every gateway that uses its credential. `Tuner`
is told at each tick what the pods report and what the documents say, and answers with grants for
the pods and views for people. It reads no clock, does no I/O and knows no cluster.
"""

from mcp_gateway_operator.tuning.change import Change
from mcp_gateway_operator.tuning.fact import AccountSpec, Mode, PodState, frees
from mcp_gateway_operator.tuning.pace import Pace
from mcp_gateway_operator.tuning.tuner import Tuner
from mcp_gateway_operator.tuning.view import (
    Decision,
    LimitView,
    RateView,
    Recommendation,
    State,
)

__all__ = [
    "AccountSpec",
    "Change",
    "Decision",
    "LimitView",
    "Mode",
    "Pace",
    "PodState",
    "RateView",
    "Recommendation",
    "State",
    "Tuner",
    "frees",
]
