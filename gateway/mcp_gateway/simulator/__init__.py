"""A provider on its own port: both wires, account limits enforced, failures on demand.

The keyless default of the product, the counterpart of its tests and the load of its benches.
What it enforces, and after which pages of the vendors, is in `docs/reference/simulator.md`.
"""

from mcp_gateway.simulator.credential import account_name
from mcp_gateway.simulator.service import Simulator
from mcp_gateway.simulator.settings import (
    Failure,
    FailureKind,
    Latency,
    Limits,
    LogNormal,
    Settings,
)

__all__ = [
    "Failure",
    "FailureKind",
    "Latency",
    "Limits",
    "LogNormal",
    "Settings",
    "Simulator",
    "account_name",
]
