from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from mcp_gateway.providers import refusal
from mcp_gateway.providers.base import RefusalKind

NOW = 1_790_000_000.0


def answer(
    message: str = "", *, status: int = 429, headers: dict[bytes, bytes] | None = None
) -> refusal.ErrorAnswer:
    return refusal.ErrorAnswer(status, "", "", message, headers or {}, NOW)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error":{"type":"t","code":7,"message":"m"}}', ("t", "7", "m")),
        (b'{"error":{"code":"1302","message":"m"}}', ("", "1302", "m")),
        (b'{"type":"t","message":"m"}', ("t", "", "m")),
        (b'{"error":{"msg":"m","code":null}}', ("", "", "m")),
        (b'{"error":"m"}', ("", "", "m")),
        (b'{"detail":"m"}', ("", "", "m")),
        (b"[1]", ("", "", "[1]")),
        (b"<html>busy</html>", ("", "", "the answer was not JSON")),
        (b"\xff\xfe", ("", "", "the answer was not JSON")),
        (b"", ("", "", "the answer was empty")),
        (b"[" * 100_000 + b"]" * 100_000, ("", "", "the answer was not JSON")),
    ],
)
def test_any_body_is_read(body: bytes, expected: tuple[str, str, str]) -> None:
    read = refusal.read(500, {}, body, NOW)
    assert (read.type, read.code, read.message) == expected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RefusalKind.REQUEST),
        (401, RefusalKind.CREDENTIAL),
        (402, RefusalKind.QUOTA),
        (403, RefusalKind.PERMISSION),
        (404, RefusalKind.MODEL),
        (413, RefusalKind.REQUEST),
        (422, RefusalKind.REQUEST),
        (429, RefusalKind.FREQUENCY),
        (500, RefusalKind.SERVER),
        (502, RefusalKind.SERVER),
        (503, RefusalKind.OVERLOAD),
        (504, RefusalKind.SERVER),
        (529, RefusalKind.OVERLOAD),
    ],
)
def test_a_status_alone_has_a_meaning(status: int, kind: RefusalKind) -> None:
    assert refusal.by_status(status) is kind


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Concurrency limit reached for requests", RefusalKind.CONCURRENCY),
        ("The engine is currently overloaded", RefusalKind.OVERLOAD),
        ("We're receiving too many requests at the moment.", RefusalKind.OVERLOAD),
        ("Rate limit reached for gpt-x on tokens per min (TPM): Limit 1", RefusalKind.TOKENS),
        ("Rate limit reached for gpt-x on requests per min (RPM): Limit 1", RefusalKind.FREQUENCY),
        ("Rate limit reached on requests per day (RPD): Limit 1", RefusalKind.QUOTA),
        ("You exceeded your current quota", RefusalKind.QUOTA),
        ("", RefusalKind.FREQUENCY),
        # The letters of an id decide nothing.
        ("Your account org-tpm<ak-concurrentpd> reached max RPM: 3", RefusalKind.FREQUENCY),
    ],
)
def test_a_429_is_understood_by_its_words(message: str, kind: RefusalKind) -> None:
    assert refusal.kind_of_429(answer(message)) is kind


def test_a_429_with_no_tokens_left_is_about_tokens() -> None:
    headers = {b"x-ratelimit-remaining-tokens": b"0"}
    assert refusal.kind_of_429(answer("slow down", headers=headers)) is RefusalKind.TOKENS


def test_an_error_under_status_200_gets_the_status_it_should_have_had() -> None:
    assert refusal.status_of(answer(status=200), RefusalKind.CONCURRENCY) == 429
    assert refusal.status_of(answer(status=200), RefusalKind.OVERLOAD) == 503
    assert refusal.status_of(answer(status=418), RefusalKind.REQUEST) == 418
    assert {refusal.status_of(answer(status=200), kind) for kind in RefusalKind} <= {
        400, 401, 403, 404, 429, 500, 503,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"7", 7.0),
        (b" 0.5 ", 0.5),
        (formatdate(NOW + 30, usegmt=True).encode(), 30.0),
        (formatdate(NOW - 30, usegmt=True).encode(), 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: bytes, seconds: float) -> None:
    said = answer(headers={b"retry-after": header})
    assert refusal.retry_after(said, RefusalKind.OVERLOAD) == seconds


@pytest.mark.parametrize(
    "header", [b"soon", b"", b"nan", b"inf", b"-3", b"1_0", b"9" * 40, b"\xb2"]
)
def test_a_retry_after_that_says_nothing_is_passed_over(header: bytes) -> None:
    assert refusal.retry_after(answer(headers={b"retry-after": header}), RefusalKind.QUOTA) is None


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("reached max RPM: 3, please try again after 1 seconds", 1.0),
        ("Please try again in 1.5s.", 1.5),
        ("Please try again in 20ms", 0.02),
        ("try again after 300 milliseconds", 0.3),
        ("Retry after 2 minutes", 120.0),
        ("try again in 3 hours", 10_800.0),
        ("please try again later", None),
    ],
)
def test_a_message_may_say_when(message: str, seconds: float | None) -> None:
    found = refusal.retry_after(answer(message), RefusalKind.CONCURRENCY)
    assert found == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"12", 12.0),
        (b"1790000042", 42.0),
        (b"1790000042500", 42.5),
        (b"1789999999", 0.0),
        (b"6m0s", 360.0),
        (b"1h2m3s", 3723.0),
        (b"20ms", 0.02),
        (b"soon", None),
    ],
)
def test_a_reset_header_is_a_duration_or_an_instant(header: bytes, seconds: float | None) -> None:
    said = answer(headers={b"x-ratelimit-reset": header})
    assert refusal.retry_after(said, RefusalKind.FREQUENCY) == seconds


def test_a_reset_header_counts_only_for_its_window() -> None:
    both = answer(
        headers={b"x-ratelimit-reset-requests": b"1s", b"x-ratelimit-reset-tokens": b"6s"}
    )
    assert refusal.retry_after(both, RefusalKind.FREQUENCY) == 1.0
    assert refusal.retry_after(both, RefusalKind.TOKENS) == 6.0
    minute = answer(headers={b"x-ratelimit-reset": b"40"})
    assert refusal.retry_after(minute, RefusalKind.CONCURRENCY) is None
    assert refusal.retry_after(minute, RefusalKind.REQUEST) is None


def test_a_message_is_freed_of_keys_and_ids_and_bounded() -> None:
    message = (
        "Your account org-78cd08fac<ak-f94zcrj6ax1111aqsyq1> request reached max RPM, key"
        " sk-abcdef123 or id.s3cret"
    )
    assert refusal.scrub(message, ("id.s3cret", "")) == (
        "Your account request reached max RPM, key sk-*** or ***"
    )
    project = "Your account org-7 / proj-4 <ak-9> request reached"
    assert refusal.scrub(project, ()) == "Your account request reached"
    assert len(refusal.scrub("x" * 5000, ())) == refusal.MESSAGE_LIMIT


def test_no_wait_is_without_end() -> None:
    digits = "9" * 400
    said = refusal.retry_after(answer(f"try again in {digits} s"), RefusalKind.TOKENS)
    assert said is None or said < 1e10
    headers = {b"x-ratelimit-reset-requests": f"{digits}s".encode()}
    assert refusal.retry_after(answer(headers=headers), RefusalKind.FREQUENCY) is None


@pytest.mark.parametrize("message", ["x" + " " * 200_000 + "y", "<ak-" * 50_000])
def test_a_message_that_a_client_had_repeated_takes_no_time(message: str) -> None:
    began = time.process_time()
    refusal.scrub(message, ())
    refusal.kind_of_429(answer(message))
    assert time.process_time() - began < 5.0  # by the square of its length it is minutes
