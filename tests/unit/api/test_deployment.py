from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcp_gateway.api.deployment import Autoscaling, HTTPRoute, ParentReference


def test_an_autoscaler_has_room() -> None:
    assert Autoscaling(min_replicas=3, max_replicas=3).target_cpu == 70
    with pytest.raises(ValidationError, match="minReplicas must be at most maxReplicas"):
        Autoscaling(min_replicas=4, max_replicas=3)


def test_acronyms_keep_their_capitals() -> None:
    assert Autoscaling.model_validate({"maxReplicas": 2, "targetCPU": 50}).target_cpu == 50


@pytest.mark.parametrize("host", ["mcp.example.com", "*.example.com"])
def test_host_names_lead_to_a_gateway(host: str) -> None:
    route = HTTPRoute(parent_refs=[ParentReference(name="public")], hostnames=[host])

    assert route.hostnames == [host]
    with pytest.raises(ValidationError):
        HTTPRoute(parent_refs=[], hostnames=[host])
