from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mcp_gateway.providers import refusal
from mcp_gateway.providers.base import RefusalKind
from mcp_gateway.providers.credential import BearerKey
from mcp_gateway.providers.glm import GLMProvider, reset_time

NOW = datetime(2026, 9, 4, 10, 0, 0, tzinfo=UTC).timestamp()


def provider() -> GLMProvider:
    return GLMProvider("glm", BearerKey("id.secret"), clock=lambda: NOW)


def answer(code: str, status: int = 429, message: str = "") -> refusal.ErrorAnswer:
    return refusal.ErrorAnswer(status, "", code, message, {}, NOW)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("1000", 401, RefusalKind.CREDENTIAL),
        ("1004", 401, RefusalKind.CREDENTIAL),
        ("1110", 429, RefusalKind.PERMISSION),
        ("1112", 429, RefusalKind.PERMISSION),
        ("1113", 429, RefusalKind.QUOTA),
        ("1120", 429, RefusalKind.SERVER),
        ("1121", 429, RefusalKind.PERMISSION),
        ("1210", 400, RefusalKind.REQUEST),
        ("1211", 400, RefusalKind.MODEL),
        ("1214", 400, RefusalKind.REQUEST),
        ("1220", 400, RefusalKind.PERMISSION),
        ("1222", 400, RefusalKind.PERMISSION),
        ("1234", 500, RefusalKind.SERVER),
        ("1261", 400, RefusalKind.REQUEST),
        ("1301", 400, RefusalKind.REQUEST),
        ("1302", 429, RefusalKind.CONCURRENCY),
        ("1303", 429, RefusalKind.FREQUENCY),
        ("1304", 429, RefusalKind.QUOTA),
        ("1305", 429, RefusalKind.OVERLOAD),
        ("1308", 429, RefusalKind.QUOTA),
        ("1309", 429, RefusalKind.QUOTA),
        ("1310", 429, RefusalKind.QUOTA),
        ("1312", 429, RefusalKind.OVERLOAD),
        ("1316", 429, RefusalKind.QUOTA),
        ("1321", 429, RefusalKind.QUOTA),
        ("500", 500, RefusalKind.SERVER),
        ("", 502, RefusalKind.SERVER),
        ("9999", 400, RefusalKind.REQUEST),
        ("²", 401, RefusalKind.CREDENTIAL),
    ],
)
def test_the_code_decides_and_the_status_fills_in(
    code: str, status: int, kind: RefusalKind
) -> None:
    assert provider().classify(answer(code, status)) is kind


def test_an_unknown_code_under_429_is_understood_by_its_words() -> None:
    said = answer("1399", message="Usage limit reached for 1 month.")
    assert provider().classify(said) is RefusalKind.QUOTA
    assert provider().classify(answer("1399")) is RefusalKind.FREQUENCY


@pytest.mark.parametrize(
    "message",
    [
        "Usage limit reached for 5 hour. Your limit will reset at 2026-09-04 19:01:25",
        "已达到 5 小时的使用上限。您的限额将在 2026-09-04 19:01:25 重置。",
        "Weekly/Monthly Limit Exhausted. Your limit will reset at 2026-09-04T11:01:25Z",
        "resets at 2026-09-04T13:01:25.123+02:00",
    ],
)
def test_the_end_of_a_window_is_read_from_the_message(message: str) -> None:
    assert provider().quota_reset(answer("1308", message=message)) == 3600 + 85


def test_a_window_that_has_ended_is_over_now() -> None:
    past = answer("1310", message="will reset at 2020-01-01 00:00:00")
    assert provider().quota_reset(past) == 0.0


@pytest.mark.parametrize("message", ["", "later", "reset at 2026-13-45 99:00:00"])
def test_a_message_without_an_instant_leaves_it_to_the_headers(message: str) -> None:
    assert reset_time(message) is None
    assert provider().quota_reset(answer("1308", message=message)) is None
