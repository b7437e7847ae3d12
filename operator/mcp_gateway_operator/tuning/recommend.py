"""What a person is told who did not let the tuner act: how large the pools should be, and why."""

from __future__ import annotations

from mcp_gateway_operator.tuning.view import Recommendation
from mcp_gateway_operator.tuning.warm import staffing


def recommend(
    *, rate: float, service: float, ceiling: int, known: bool, waiting: int, pods: int
) -> Recommendation:
    """Say how many requests in flight the account's pods need, and how many they may have.

    Args:
        rate: arrivals per second over all pods.
        service: seconds a request takes at the provider.
        ceiling: the account's, as far as it is known.
        known: it was stated or learned from refusals, and is not merely where learning begins.
        waiting: requests that wait now.
        pods: how many share it.
    """
    need = staffing(rate * service)
    lower = min(need, ceiling) if known else need
    target = ceiling if known else max(need, ceiling)
    demand = f"{rate:.1f} requests/s of {service:.1f} s each need {need} in flight"
    if known and need > ceiling:
        verdict = f"the provider allows {ceiling}, so some wait"
    else:
        verdict = f"{target} may be in flight: {max(1, target // max(1, pods))} in each of {pods}"
    queue = f"; {waiting} wait now" if waiting else ""
    return Recommendation(lower, target, ceiling if known else None, f"{demand}; {verdict}{queue}")
