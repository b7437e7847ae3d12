"""Kimi (Moonshot): what its refusals mean.

Source: the error list of the platform's documentation (platform.kimi.ai/docs/api/errors) and
the messages clients report. The error object's `type` says the class; that a limit is one of
concurrency, requests or tokens is said only by the message: "max organization concurrency: 50",
"max RPM: 200", "TPM rate limit", "TPD rate limit".
"""

from __future__ import annotations

from mcp_gateway.providers import refusal
from mcp_gateway.providers.base import RefusalKind
from mcp_gateway.providers.openai_chat import OpenAIChatProvider

_KINDS = {
    "engine_overloaded_error": RefusalKind.OVERLOAD,
    # Comes with 429 and, for an account that never had a balance, with 403.
    "exceeded_current_quota_error": RefusalKind.QUOTA,
    "invalid_authentication_error": RefusalKind.CREDENTIAL,
    "incorrect_api_key_error": RefusalKind.CREDENTIAL,
    "permission_denied_error": RefusalKind.PERMISSION,
    "resource_not_found_error": RefusalKind.MODEL,
    "invalid_request_error": RefusalKind.REQUEST,
    "content_filter": RefusalKind.REQUEST,
    "server_error": RefusalKind.SERVER,
}


class KimiProvider(OpenAIChatProvider):
    """One Kimi account. Its streams carry the usage without being asked."""

    type = "kimi"
    asks_for_usage = False

    def classify(self, answer: refusal.ErrorAnswer) -> RefusalKind:
        """What an error answer means here."""
        kind = _KINDS.get(answer.type)
        if kind is not None:
            return kind
        if answer.status == 429 or answer.type == "rate_limit_reached_error":
            return refusal.kind_of_429(answer)
        # The subscription plans end a billing cycle with 403.
        if answer.status == 403 and "usage limit" in answer.message:
            return RefusalKind.QUOTA
        return refusal.by_status(answer.status)
