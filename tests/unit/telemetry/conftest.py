from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

import pytest


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Both ends of a pipe; reading never waits."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as reader, open(writing, "wb", buffering=0) as writer:
        os.set_blocking(reading, False)
        yield reader, writer
