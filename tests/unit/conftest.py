"""Unit tests run on a virtual clock: no sockets, no sleeping, exact times."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.virtual_clock import VirtualClockLoop


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run `async def` tests on asyncio, on a loop whose clock jumps."""
    return "asyncio", {"loop_factory": VirtualClockLoop}
