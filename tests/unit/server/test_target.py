from __future__ import annotations

import pytest

from mcp_gateway.server.target import split_target


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/mcp", ("/mcp", b"")),
        (b"/mcp?a=1&b=%20", ("/mcp", b"a=1&b=%20")),
        (b"/a%2Fb", ("/a%2Fb", b"")),
        (b"//double", ("//double", b"")),
        (b"http://host:80/mcp?x", ("/mcp", b"x")),
        (b"HTTPS://HOST:80", ("/", b"")),
    ],
)
def test_a_target_is_split_into_path_and_query(target: bytes, expected: tuple[str, bytes]) -> None:
    assert split_target("GET", target, b"Host:80") == expected


def test_an_asterisk_is_for_options() -> None:
    assert split_target("OPTIONS", b"*", b"h") == ("*", b"")
    with pytest.raises(ValueError, match="neither a path"):
        split_target("GET", b"*", b"h")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (b"/a#b", "no fragment"),
        (b"http://other/mcp", "another host"),
        (b"http://host@other/mcp", "another host"),
        (b"ftp://host/mcp", "neither a path"),
        (b"host:80", "neither a path"),
        (b"", "neither a path"),
    ],
)
def test_other_forms_are_refused(target: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        split_target("GET", target, b"host")
