from __future__ import annotations

import pytest

from mcp_gateway.recording.choice import Kept, Mode, kept


@pytest.mark.parametrize(
    ("mode", "request_kept", "response_kept"),
    [
        ("metadata", False, False),
        ("prompts", True, False),
        ("responses", False, True),
        ("all", True, True),
    ],
)
def test_mode_says_what_is_kept(mode: Mode, request_kept: bool, response_kept: bool) -> None:
    assert kept(mode) == Kept(request=request_kept, response=response_kept)


def test_route_has_the_last_word() -> None:
    assert kept("all", "metadata") == kept("metadata")
    assert kept("metadata", "prompts") == kept("prompts")
