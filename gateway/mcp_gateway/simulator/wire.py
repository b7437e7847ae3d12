"""The two wires the simulator speaks, as far as they differ: errors, headers, stream forms.

Sources: Kimi's error list (platform.kimi.ai/docs/api/errors) and limits
(platform.kimi.ai/docs/pricing/limits); GLM's business codes (docs.z.ai/api-reference/api-code).
Where the vendors' lists give a text only with gaps, it is the text that clients reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from mcp_gateway.simulator.account import Account, Denial
from mcp_gateway.simulator.settings import FailureKind, Limits

JSON = b"application/json"
HTML = b"text/html"


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error answer: HTTP status, body and the body's type."""

    status: int
    body: bytes
    content_type: bytes = JSON


class Wire(Protocol):
    """What one vendor's wire has of its own."""

    per_model: bool
    """Limits hold for each model of an account by itself."""
    usage_in_choice: bool
    """A stream's last event has the usage in its choice (Kimi), not beside (GLM)."""

    def denied(self, denial: Denial, account: str) -> ErrorReply:
        """The answer to a request over a limit."""

    def failed(self, kind: FailureKind, wall: float) -> ErrorReply:
        """The answer of an injected failure that `refuses`."""

    def unauthenticated(self, *, given: bool) -> ErrorReply:
        """The answer to a request without a good key; `given`: it had one."""

    def unknown_model(self, model: str) -> ErrorReply:
        """The answer to a request for a model that is not there."""

    def invalid(self, message: str) -> ErrorReply:
        """The answer to a body that is not a chat request."""

    def headers(self, account: Account, limits: Limits, now: float, wall: float) -> bytes:
        """Header lines about the account's limits, each with its line end."""


class KimiWire:
    """Kimi's."""

    per_model = False
    usage_in_choice = True

    def denied(self, denial: Denial, account: str) -> ErrorReply:
        """See `Wire.denied`."""
        # When a window has room is said in whole seconds; a slot may be free in less.
        exact = denial.cause == "concurrency"
        wait = denial.retry_after if exact else max(1, round(denial.retry_after))
        again = f"please try again after {wait:.4g} seconds"
        current = f"current: {denial.current}, limit: {denial.limit}"
        said = {
            "concurrency": f"max organization concurrency: {denial.limit}, {again}",
            "rpm": f"organization max RPM: {denial.limit}, {again}",
            "tpm": f"organization TPM rate limit, {current}",
            "tpd": f"organization TPD rate limit, {current}",
        }[denial.cause]
        message = f"Your account org-{account}<ak-{account}> request reached {said}"
        return _kimi(429, "rate_limit_reached_error", message)

    def failed(self, kind: FailureKind, wall: float) -> ErrorReply:
        """See `Wire.failed`."""
        if kind is FailureKind.OVERLOAD:
            message = "The engine is currently overloaded, please try again later"
            return _kimi(429, "engine_overloaded_error", message)
        if kind is FailureKind.QUOTA:
            message = "You exceeded your current quota, please check your plan and billing details"
            return _kimi(429, "exceeded_current_quota_error", message)
        return _page(kind) or _kimi(500, "server_error", "Internal server error")

    def unauthenticated(self, *, given: bool) -> ErrorReply:
        """See `Wire.unauthenticated`."""
        del given
        return _kimi(401, "invalid_authentication_error", "Invalid Authentication")

    def unknown_model(self, model: str) -> ErrorReply:
        """See `Wire.unknown_model`."""
        message = f"Not found the model {model} or Permission denied"
        return _kimi(404, "resource_not_found_error", message)

    def invalid(self, message: str) -> ErrorReply:
        """See `Wire.invalid`."""
        return _kimi(400, "invalid_request_error", f"Invalid request: {message}")

    def headers(self, account: Account, limits: Limits, now: float, wall: float) -> bytes:
        """See `Wire.headers`: the window of requests; its reset is an instant."""
        limit = limits.requests_per_minute
        if limit is None:
            return b""
        window = account.by_minute
        window.forget(now)
        return (
            b"x-ratelimit-limit: %d\r\nx-ratelimit-remaining: %d\r\nx-ratelimit-reset: %d\r\n"
            % (
                limit,
                max(0, limit - window.total),
                int(wall + window.reset_in(now)) + 1,
            )
        )


class GLMWire:
    """GLM's."""

    per_model = True
    usage_in_choice = False

    def denied(self, denial: Denial, account: str) -> ErrorReply:
        """See `Wire.denied`."""
        del account
        code, message = {
            "concurrency": (
                "1302",
                "High concurrency usage of this API, please reduce concurrency or contact"
                " customer service to increase limits",
            ),
            "rpm": (
                "1303",
                "High frequency usage of this API, please reduce frequency or contact customer"
                " service to increase limits",
            ),
            "tpm": (
                "1303",
                "High frequency usage of this API, please reduce frequency or contact customer"
                " service to increase limits",
            ),
            "tpd": ("1304", "Daily call limit for this API reached"),
        }[denial.cause]
        return _glm(429, code, message)

    def failed(self, kind: FailureKind, wall: float) -> ErrorReply:
        """See `Wire.failed`."""
        if kind is FailureKind.OVERLOAD:
            message = "The service may be temporarily overloaded, please try again later"
            return _glm(429, "1305", message)
        if kind is FailureKind.QUOTA:
            window = 5 * 3600.0
            # The window's end, in the vendor's local time and without a zone, as it writes it.
            end = datetime.fromtimestamp(wall - wall % window + window, UTC) + timedelta(hours=8)
            message = f"Usage limit reached for 5 hour. Your limit will reset at {end:%F %T}"
            return _glm(429, "1308", message)
        return _page(kind) or _glm(500, "500", "Internal Error")

    def unauthenticated(self, *, given: bool) -> ErrorReply:
        """See `Wire.unauthenticated`."""
        if given:
            return _glm(401, "1002", "Invalid Authentication Token, please confirm the token")
        message = "Authentication parameter not received in Header, unable to authenticate"
        return _glm(401, "1001", message)

    def unknown_model(self, model: str) -> ErrorReply:
        """See `Wire.unknown_model`."""
        del model
        return _glm(400, "1211", "Unknown Model, please check the model code.")

    def invalid(self, message: str) -> ErrorReply:
        """See `Wire.invalid`."""
        return _glm(400, "1210", f"Incorrect API call parameters: {message}")

    def headers(self, account: Account, limits: Limits, now: float, wall: float) -> bytes:
        """See `Wire.headers`: GLM documents none."""
        del account, limits, now, wall
        return b""


WIRES: Mapping[str, Wire] = {"kimi": KimiWire(), "glm": GLMWire()}

_PAGES = {
    FailureKind.BAD_GATEWAY: (502, "Bad Gateway"),
    FailureKind.UNAVAILABLE: (503, "Service Temporarily Unavailable"),
    FailureKind.GATEWAY_TIMEOUT: (504, "Gateway Time-out"),
}


def _page(kind: FailureKind) -> ErrorReply | None:
    if kind not in _PAGES:
        return None
    status, reason = _PAGES[kind]
    title = f"{status} {reason}"
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\r\n"
    return ErrorReply(status, page.encode(), HTML)


def _kimi(status: int, kind: str, message: str) -> ErrorReply:
    error = {"error": {"message": message, "type": kind}}
    return ErrorReply(status, msgspec.json.encode(error))


def _glm(status: int, code: str, message: str) -> ErrorReply:
    error = {"error": {"code": code, "message": message}}
    return ErrorReply(status, msgspec.json.encode(error))
