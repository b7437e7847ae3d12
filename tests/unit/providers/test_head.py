from __future__ import annotations

import pytest

from mcp_gateway.errors import ConfigError
from mcp_gateway.providers import head


def test_a_request_is_a_compiled_head_with_the_body_spliced_on() -> None:
    compiled = head.compile_post("api.test", "/v1/chat/completions", head.bearer("sk-1"))
    assert head.splice(compiled, b'{"a":1}') == (
        b"POST /v1/chat/completions HTTP/1.1\r\n"
        b"host: api.test\r\n"
        b"user-agent: mcp-gateway\r\n"
        b"authorization: Bearer sk-1\r\n"
        b"content-type: application/json\r\n"
        b"content-length: 7\r\n"
        b"\r\n"
        b'{"a":1}'
    )


def test_a_get_is_whole_by_itself() -> None:
    assert head.compile_get("api.test:81", "/v1/models", {}) == (
        b"GET /v1/models HTTP/1.1\r\nhost: api.test:81\r\nuser-agent: mcp-gateway\r\n\r\n"
    )


@pytest.mark.parametrize("none", [None, ""])
def test_no_credential_makes_no_header(none: str | None) -> None:
    assert head.bearer(none) == {}


@pytest.mark.parametrize("bad", ["sk-1\n", "sk 1", "sk-ü", "sk\r\nx: y"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_without_repeating_it(bad: str) -> None:
    with pytest.raises(ConfigError) as caught:
        head.bearer(bad)
    assert bad not in str(caught.value)
