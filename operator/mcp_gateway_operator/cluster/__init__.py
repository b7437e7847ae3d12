"""The only room that talks to the API server: requests, watches, the Lease, Events."""

from mcp_gateway_operator.cluster.access import Access, NoAccess, find_access
from mcp_gateway_operator.cluster.client import Cluster
from mcp_gateway_operator.cluster.error import (
    ClusterError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    NotLeading,
    Refused,
    Unreachable,
)
from mcp_gateway_operator.cluster.event import Recorder, Subject
from mcp_gateway_operator.cluster.lease import Leadership
from mcp_gateway_operator.cluster.reflector import Reflector, Sink
from mcp_gateway_operator.cluster.retry import Retry

__all__ = [
    "Access",
    "Cluster",
    "ClusterError",
    "Conflict",
    "Forbidden",
    "Gone",
    "Invalid",
    "Leadership",
    "NoAccess",
    "NotFound",
    "NotLeading",
    "Recorder",
    "Reflector",
    "Refused",
    "Retry",
    "Sink",
    "Subject",
    "Unreachable",
    "find_access",
]
