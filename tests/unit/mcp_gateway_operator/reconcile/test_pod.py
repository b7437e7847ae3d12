"""What is made of a pod's own words."""

from __future__ import annotations

import msgspec
import pytest

from mcp_gateway_operator.cluster.item import PodItem
from mcp_gateway_operator.reconcile.pod import read_pod


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ImagePullBackOff", "ImagePullBackOff"),
        ("provider failed: 3", "Providerfailed3"),
        ("42", "PodFailing"),
        ("ContainerCreating", ""),
    ],
)
def test_a_reason_is_told_as_a_condition_can_have_it(said: str, told: str) -> None:
    container = {"name": "gateway", "state": {"waiting": {"reason": said}}}
    pod = {"metadata": {"name": "p"}, "status": {"containerStatuses": [container]}}
    assert read_pod(msgspec.convert(pod, PodItem)).failing == told
