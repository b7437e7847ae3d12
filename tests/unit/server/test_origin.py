from __future__ import annotations

import pytest

from mcp_gateway.protocol.headers import Headers
from mcp_gateway.server.message import HTTPRequest
from mcp_gateway.server.origin import REMEMBERED, Guard, is_loopback_name


def asked(host: str | None, origin: str | None = None, **more: str) -> HTTPRequest:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
    if host is not None:
        fields.append((b"host", host.encode("latin-1")))
    if origin is not None:
        fields.append((b"origin", origin.encode("latin-1")))
    return HTTPRequest("POST", "/mcp", b"", Headers(fields), b"", "127.0.0.1")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 0),
        ("LocalHost:8079", 0),
        ("127.0.0.1:8079", 0),
        ("127.9.9.9", 0),
        ("[::1]:8079", 0),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost:8079@evil.example", 421),
        ("localhost:port", 421),
        ("local host", 421),
        ("", 421),
        (None, 421),
    ],
)
def test_a_loopback_listener_serves_loopback_names(host: str | None, status: int) -> None:
    assert Guard(loopback=True).judge(asked(host)).status == status


def test_elsewhere_every_host_is_served_unless_some_are_named() -> None:
    assert Guard(loopback=False).judge(asked("any.example:80")).status == 0
    assert Guard(loopback=False).judge(asked(None)).status == 0
    named = Guard(loopback=False, allowed_hosts=["gw.example", "*.corp.example", "::2"])
    for host, status in {
        "gw.example": 0,
        "GW.example:443": 0,
        "a.corp.example": 0,
        "[::2]:80": 0,
        "corp.example": 421,
        "evilcorp.example": 421,
        "x.gw.example": 421,
        "localhost": 421,
    }.items():
        assert named.judge(asked(host)).status == status, host


def test_a_star_serves_every_host_on_loopback_too() -> None:
    assert Guard(loopback=True, allowed_hosts=["*"]).judge(asked("any.example")).status == 0


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 0),
        ("https://127.0.0.1", 0),
        ("http://[::1]:6274", 0),
        ("https://chat.example", 0),
        ("HTTPS://Chat.Example", 0),
        ("https://gw.example:8443", 0),
        ("http://chat.example", 403),
        ("https://chat.example:444", 403),
        ("https://evil.example", 403),
        ("https://chat.example.evil.example", 403),
        ("https://localhost.evil.example", 403),
        ("null", 403),
        ("", 403),
        ("file://", 403),
        ("https://chat.example, https://evil.example", 403),
    ],
)
def test_pages_of_unknown_origins_are_refused(origin: str, status: int) -> None:
    guard = Guard(
        loopback=False,
        allowed_hosts=["gw.example", "localhost"],
        allowed_origins=["https://chat.example/"],
    )
    verdict = guard.judge(asked("gw.example", origin))
    assert verdict.status == status
    if not status:
        assert b"access-control-allow-origin: " + origin.encode() in verdict.headers
        assert b"vary: origin" in verdict.headers


def test_a_page_of_a_host_that_is_merely_not_refused_proves_nothing() -> None:
    # A name that was made to resolve to this machine: Host and Origin agree.
    guard = Guard(loopback=False)
    assert guard.judge(asked("evil.example:8079", "http://evil.example:8079")).status == 403


def test_a_star_lets_every_page_call() -> None:
    verdict = Guard(loopback=True, allowed_origins=["*"]).judge(asked("localhost", "https://a.b"))
    assert verdict.status == 0
    assert b"access-control-allow-origin: *\r\n" in verdict.headers


def test_a_preflight_allows_the_headers_it_asks_for() -> None:
    guard = Guard(loopback=True)
    wanted = "authorization, content-type,mcp-protocol-version"
    lines = guard.preflight(asked("localhost", access_control_request_headers=wanted))
    assert b"access-control-allow-headers: " + wanted.encode() + b"\r\n" in lines
    assert b"access-control-allow-methods: GET, POST\r\n" in lines


@pytest.mark.parametrize("wanted", ["a b", "a, , b", "a;b", "x" * 2000, ""])
def test_a_preflight_echoes_field_names_only(wanted: str) -> None:
    lines = Guard(loopback=True).preflight(
        asked("localhost", access_control_request_headers=wanted)
    )
    assert b"allow-headers" not in lines


def test_made_up_origins_are_not_remembered_for_ever() -> None:
    guard = Guard(loopback=True)
    for number in range(REMEMBERED * 2):
        assert guard.judge(asked("localhost", f"https://{number}.example")).status == 403
    assert len(guard._known) <= REMEMBERED  # the bound is what is tested


def test_endless_names_are_refused_and_not_remembered() -> None:
    guard = Guard(loopback=False, allowed_origins=["*"])
    assert guard.judge(asked("h" * 300)).status == 421
    assert guard.judge(asked("h", "https://" + "o" * 300)).status == 421
    assert guard._known == {}


@pytest.mark.parametrize(
    ("host", "expected"),
    [(b"localhost:9079", True), (b"[::1]", True), (b"example", False), (b"", False)],
)
def test_loopback_names_are_known(host: bytes, expected: bool) -> None:
    assert is_loopback_name(host) is expected
