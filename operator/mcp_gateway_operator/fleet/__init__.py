"""The only room that talks to gateway pods: one control channel each."""

from mcp_gateway_operator.fleet.fleet import PodFleet

__all__ = ["PodFleet"]
