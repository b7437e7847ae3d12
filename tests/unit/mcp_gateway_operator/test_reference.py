"""The reference of conditions has every reason there is, and nothing that is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from mcp_gateway_operator import conditions
from mcp_gateway_operator.reconcile import writer
from mcp_gateway_operator.tuning import Mode, State

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "conditions-and-events.md"
OF_THE_KUBELET = {"ImagePullBackOff", "CrashLoopBackOff", "Unschedulable"}
OF_PROBES = {"CredentialRefused", "ModelUnknown", "Unreachable"}
OF_CEILINGS = {"CeilingRaised", "CeilingLowered"}
WORDS = {*get_args(Mode), *get_args(State)}


def reasons(module: str) -> set[str]:
    """Reasons as they are written in the code."""
    return set(re.findall(r'(?:Verdict|Story)\([^,()]+, "([A-Z]\w+)"', module))


def source(module: object) -> str:
    return Path(str(getattr(module, "__file__", ""))).read_text(encoding="utf-8")


def test_every_reason_is_described_and_every_described_one_exists() -> None:
    known = reasons(source(conditions)) | reasons(source(writer))
    assert len(known) > 20
    described = set(re.findall(r"`([A-Z][A-Za-z]+)`", PAGE.read_text(encoding="utf-8")))
    assert known | OF_PROBES | OF_CEILINGS | WORDS <= described
    assert described - known - OF_PROBES - OF_CEILINGS - WORDS - OF_THE_KUBELET == set()


@pytest.mark.parametrize("condition", list(conditions.CHAINS))
def test_every_condition_has_a_section(condition: str) -> None:
    assert f"\n## {condition}: " in PAGE.read_text(encoding="utf-8")
