from __future__ import annotations

import pytest

from mcp_gateway.providers import refusal
from mcp_gateway.providers.base import RefusalKind
from mcp_gateway.providers.credential import BearerKey
from mcp_gateway.providers.kimi import KimiProvider

ACCOUNT = "Your account org-78cd08fac9804d20bac9a1f02fc1e6a5<ak-f94zcrj6ax1111aqsyq1> request"
REACHED = "rate_limit_reached_error"


def classify(status: int, kind: str, message: str = "") -> RefusalKind:
    provider = KimiProvider("kimi", BearerKey("sk-1"), clock=lambda: 0.0)
    return provider.classify(refusal.ErrorAnswer(status, kind, "", message, {}, 0.0))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            f"{ACCOUNT} reached max organization concurrency: 1, please try again after 1 seconds",
            RefusalKind.CONCURRENCY,
        ),
        (
            f"{ACCOUNT} reached organization max RPM: 3, please try again after 1 seconds",
            RefusalKind.FREQUENCY,
        ),
        (
            f"{ACCOUNT} reached project TPM rate limit, current: 1410, limit: 100",
            RefusalKind.TOKENS,
        ),
        (
            f"{ACCOUNT} reached organization TPD rate limit, current: 1526210, limit: 1500000",
            RefusalKind.QUOTA,
        ),
        (
            "Organization Rate limit exceeded, please try again after 1 seconds",
            RefusalKind.FREQUENCY,
        ),
    ],
)
def test_the_message_says_which_limit_was_reached(message: str, kind: RefusalKind) -> None:
    assert classify(429, REACHED, message) is kind


@pytest.mark.parametrize(
    ("status", "type_", "kind"),
    [
        (429, "engine_overloaded_error", RefusalKind.OVERLOAD),
        (429, "exceeded_current_quota_error", RefusalKind.QUOTA),
        (403, "exceeded_current_quota_error", RefusalKind.QUOTA),
        (401, "invalid_authentication_error", RefusalKind.CREDENTIAL),
        (400, "invalid_request_error", RefusalKind.REQUEST),
        (400, "content_filter", RefusalKind.REQUEST),
        (403, "permission_denied_error", RefusalKind.PERMISSION),
        (404, "resource_not_found_error", RefusalKind.MODEL),
        (500, "server_error", RefusalKind.SERVER),
        (500, "unexpected_output", RefusalKind.SERVER),
        (503, "", RefusalKind.OVERLOAD),
    ],
)
def test_types_have_meanings(status: int, type_: str, kind: RefusalKind) -> None:
    assert classify(status, type_) is kind


def test_an_overload_is_told_by_its_words_where_the_type_lies() -> None:
    message = "The engine is currently overloaded, please try again later"
    assert classify(429, "rate_limit_error", message) is RefusalKind.OVERLOAD


def test_a_used_up_plan_is_a_quota_though_it_comes_with_403() -> None:
    message = "You've reached your usage limit for this billing cycle"
    assert classify(403, "access_terminated_error", message) is RefusalKind.QUOTA
    assert classify(403, "access_terminated_error", "go away") is RefusalKind.PERMISSION
