from __future__ import annotations

import msgspec

from mcp_gateway.recording.record import Record, Try


def test_record_of_facts_only_holds_no_content() -> None:
    assert Record("a", 1.0).content_size() == 0


def test_content_is_counted_in_every_form() -> None:
    assert Record("a", 1.0, request=b"1234", response=b"56").content_size() == 6
    assert Record("a", 1.0, request=msgspec.Raw(b"123")).content_size() == 3
    assert Record("a", 1.0, request={"m": msgspec.Raw(b"[1]")}).content_size() == 3
    assert Record("a", 1.0, events=[b"12", b"345"]).content_size() == 5


def test_what_is_default_is_left_out_of_the_json() -> None:
    record = Record("a", 1.5, tries=[Try("kimi", status=429)])
    assert msgspec.json.encode(record) == (
        b'{"id":"a","started":1.5,"tries":[{"provider":"kimi","status":429}]}'
    )
