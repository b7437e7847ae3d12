from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from mcp_gateway.server.page import render

EVIL = "<script>alert(1)</script>\"'&"

VOID = {"meta", "br"}


class Structure(HTMLParser):
    """Checks that elements are closed as they were opened, and collects what matters."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        assert not any(name.startswith("on") or name == "style" for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def picture(word: str) -> dict[str, Any]:
    """A picture that has everything, with `word` wherever a text can come from outside."""
    pool = {
        "in_flight": 12,
        "limit": 10,
        "share": 10,
        "waiting": 3,
        "idle": 1,
        "connecting": 0,
        "acquired": 123456,
        "wait_count": 4,
        "wait_sum": 0.5,
        "in_flight_at_refusal": 11,
        "lanes": {word: {"in_flight": 1, "limit": 4, "share": None}},
    }
    return {
        "name": word,
        "version": word,
        "ready": False,
        "details": {word: word},
        "generation": 3,
        "uptimeSeconds": 90000.0,
        "urls": {word: word},
        "providers": [
            {
                "name": word,
                "type": word,
                "endpoints": [word],
                "pool": pool,
                "breaker": {"state": "open", "retryAfter": 12.0},
                "rates": {word: 4.5},
                "lastError": word,
            },
            {"name": "b", "breaker": {"state": "half_open"}},
            {"name": "c", "breaker": {"state": word}, "pool": {"limit": 0}},
        ],
        "routes": [
            {
                "name": word,
                "strategy": "round_robin",
                "backends": [
                    {"provider": word, "model": word, "available": False},
                    {"provider": "b", "priority": 1, "weight": 2},
                ],
            }
        ],
        "middleware": [word, "logging"],
        "listener": {"connections": 5, word: word},
        "recording": {
            "recorded": 10,
            "queued": 1,
            "dropped": {"disk": 2, "queue_full": 1},
            "spool_bytes": 5_000_000,
            "exposure": 0.05,
            "dead_letters": 0,
            "degraded": word,
            "shipper": {"shipped": 9, "waiting": 1, "lag": 3.0, "problem": word},
        },
    }


def read(page: bytes) -> Structure:
    structure = Structure()
    structure.feed(page.decode())
    structure.close()
    assert structure.open == []
    return structure


def test_everything_is_escaped() -> None:
    page, _ = render(picture(EVIL))
    assert b"<script>alert" not in page
    structure = read(page)
    assert structure.scripts == 1
    assert structure.text.count("alert(1)") > 15


def test_the_policy_lets_only_this_pages_own_style_and_script_run() -> None:
    page, headers = render(picture("x"))
    policy = headers.decode()
    (nonce,) = set(re.findall(r"'nonce-([^']+)'", policy))
    assert page.decode().count(f'nonce="{nonce}"') == 2
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert render(picture("x"))[1] != headers
    assert b"http://" not in re.sub(rb"<svg.*?</svg>", b"", page)


def test_numbers_are_for_people() -> None:
    text = read(render(picture("x"))[0]).text
    for shown in (
        "not ready",
        "12 of 10",
        "123\u202f456",
        "breaker open for 12 s",
        "breaker half open",
        "up 25 h 0 min",
        "125 ms",
        "4.8 MiB",
        "unavailable",
        "x \u2192 logging",
    ):
        assert shown in text, shown


@pytest.mark.parametrize("recording", [None, {"recorded": 0}])
def test_a_picture_may_have_little(recording: dict[str, Any] | None) -> None:
    page, _ = render({"ready": True, "recording": recording, "listener": None})
    text = read(page).text
    assert "ready" in text
    assert ("Nothing is recorded" in text) == (recording is None)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0 ms"), (59, "59 s"), (600, "10 min"), (7200, "2 h 0 min"), (300_000, "3 days")],
)
def test_durations_are_rounded(seconds: float, shown: str) -> None:
    assert f"up {shown}" in read(render({"uptimeSeconds": seconds})[0]).text
