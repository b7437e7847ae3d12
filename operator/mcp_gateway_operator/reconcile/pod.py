"""What the operator wants to know of a pod: can it be reached, does it serve, and why not."""

from __future__ import annotations

import re
from typing import Final

from mcp_gateway_operator.cluster.item import ContainerStatus, PodItem
from mcp_gateway_operator.facts import Pod

_ENDED: Final = ("Succeeded", "Failed")
_STARTING: Final = frozenset({"ContainerCreating", "PodInitializing"})


def read_pod(item: PodItem) -> Pod:
    """What the operator wants to know of a pod."""
    metadata, status = item.metadata, item.status
    failing, message = _failing(item)
    ended = status.phase in _ENDED
    return Pod(
        name=metadata.name,
        uid=metadata.uid,
        ip=status.ip,
        ready=any(c.type == "Ready" and c.status == "True" for c in status.conditions),
        deleting=bool(metadata.deletion_timestamp) or ended,
        ended=ended,
        failing=_worded(failing),
        message=message,
    )


def _failing(item: PodItem) -> tuple[str, str]:
    for container in [*item.status.init_containers, *item.status.containers]:
        waiting = container.state.waiting
        if waiting is not None and waiting.reason and waiting.reason not in _STARTING:
            return waiting.reason, _ended(container) or waiting.message
    for condition in item.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return condition.reason or "Unschedulable", condition.message
    return "", ""


def _worded(reason: str) -> str:
    """A reason as conditions may have one: who runs pods may give any text."""
    kept = re.sub(r"[^A-Za-z0-9]", "", reason).lstrip("0123456789")
    return kept[:1].upper() + kept[1:] or ("PodFailing" if reason else "")


def _ended(container: ContainerStatus) -> str:
    """How a container ended last, which says more than that it is waited for."""
    ended = container.last_state.terminated
    if ended is None:
        return ""
    said = ended.message.strip() or ended.reason
    return f"container {container.name} ended with exit status {ended.exit_code}: {said}"
