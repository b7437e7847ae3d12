"""Pods for a test, and their end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.control.pods import Pods, pods_in


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    """Pods that a test starts, stopped when it ends."""
    with pods_in(tmp_path / "pods") as running:
        yield running
