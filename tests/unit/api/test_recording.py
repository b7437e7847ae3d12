from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcp_gateway.api.recording import Recording, RedactRule


def test_content_is_kept_only_when_asked_for() -> None:
    recording = Recording()

    assert (recording.enabled, recording.mode, recording.supabase) == (True, "metadata", None)
    assert recording.commit_interval == pytest.approx(0.05)


def test_a_redaction_is_a_path_or_an_expression() -> None:
    assert RedactRule(path="messages[*].content").replacement == "[redacted]"
    assert RedactRule(regex="sk-[a-z]+").path is None
    assert RedactRule(pattern="emails").regex is None
    for given in ({}, {"path": "a", "regex": "b"}, {"path": "a", "pattern": "keys"}):
        with pytest.raises(ValidationError, match="exactly one of path, regex and pattern"):
            RedactRule.model_validate(given)


@pytest.mark.parametrize("path", ["user", "messages[*].content", "messages[0].content", "a.*.b"])
def test_paths_that_can_be_redacted(path: str) -> None:
    assert RedactRule(path=path).path == path


@pytest.mark.parametrize("path", ["", ".", "a.", "a[", "a[x]", "$.a", "a b", "[0]"])
def test_paths_that_make_no_sense(path: str) -> None:
    with pytest.raises(ValidationError):
        RedactRule(path=path)
