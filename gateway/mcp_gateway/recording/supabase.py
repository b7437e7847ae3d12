"""Ships records to Supabase, or to any PostgREST at `/rest/v1/`, with the `supabase` client.

Loaded only where it is configured: the client library costs about 20 MiB and a second.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
from supabase import Client, ClientOptions, PostgrestAPIError, SupabaseException, create_client

from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.destination import (
    Credential,
    Misconfigured,
    Rejected,
    TooLarge,
    Unavailable,
    Undelivered,
)
from mcp_gateway.recording.key import can_read
from mcp_gateway.recording.schema import SCHEMA_VERSION, function_name, grant, migration

LOGGER = logging.getLogger(__name__)

LONGEST_MESSAGE = 500
"""Characters kept of what the other end says, which may be no database and say any length."""

LONGEST_CODE = 16

_RECORDS_FAULT = frozenset({"22", "23", "54", "P0"})
"""Data exceptions, constraints, limits, and what a trigger raises."""

_DATABASES_FAULT = frozenset({"08", "25", "40", "53", "55", "57"})
"""Connections, read-only (a full disk, on Supabase), conflicts, resources, locks, operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupabaseSettings:
    """Where records go.

    Attributes:
        url: the project's address, without `/rest/v1`.
        key: what says who is calling: the writer role's token, or a service-role key.
        api_key: the project's publishable key, which Supabase's own front door asks for beside
            a token that it did not make; None where `key` opens that door too.
        table: name of the table.
        timeout: seconds one call may take to connect, and then between bytes.
    """

    url: str
    key: str
    api_key: str | None = None
    table: str = "interactions"
    timeout: float = 15.0


class SupabaseDestination:
    """Calls the insert function that `mcp-gateway supabase-schema` makes."""

    def __init__(self, settings: SupabaseSettings) -> None:
        self._settings = settings
        self._function = function_name(settings.table)
        self._answer = threading.local()
        self._http = httpx.Client(
            timeout=httpx.Timeout(settings.timeout),
            trust_env=False,  # no proxy of the environment; its certificates hold
            verify=httpx.create_ssl_context(trust_env=True),
            event_hooks={"response": [self._remember]},
        )
        self._client = self._connect()

    def _connect(self) -> Client:
        settings = self._settings
        if can_read(settings.key):
            LOGGER.warning(
                "the key for Supabase can read and change everything in the project; the role"
                " that `mcp-gateway supabase-schema` makes can only add records"
            )
        options = ClientOptions(
            auto_refresh_token=False,
            persist_session=False,
            httpx_client=self._http,
            postgrest_client_retry=False,
        )
        options.headers["Authorization"] = f"Bearer {settings.key}"
        try:
            return create_client(settings.url, settings.api_key or settings.key, options)
        except SupabaseException as error:
            raise ConfigError(f"recording.supabase: {error}") from error

    def credential_changed(self, credential: Credential) -> None:
        """Use another credential from the next call on."""
        key, api_key = credential.key, credential.api_key
        self._settings = replace(self._settings, key=key, api_key=api_key)
        self._client = self._connect()

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._http.close()

    def send(self, bodies: Sequence[str]) -> None:
        """Store records; see `Destination.send`."""
        batch = f"[{','.join(bodies)}]"
        if "\\u0000" in batch:
            # PostgreSQL's text knows no NUL. Records keep it; rows get the replacement mark.
            batch = without_nul(batch)
        self._answer.status, self._answer.retry_after = 0, None
        try:
            # The batch is a string inside JSON: it is never taken apart on this side.
            answer = self._client.rpc(self._function, {"batch": batch}).execute()
        except PostgrestAPIError as error:
            raise self._undelivered(error) from error
        except httpx.TimeoutException as error:
            raise Unavailable("the database did not answer in time", slow=True) from error
        except httpx.HTTPError as error:
            raise Unavailable(f"the database cannot be reached: {_reason(error)}") from error
        self._confirm(answer.data)

    def _confirm(self, data: Any) -> None:
        """Make sure that it was the insert function that answered, and the right one."""
        if not isinstance(data, dict) or not isinstance(data.get("stored"), int):
            raise Unavailable(
                "something other than the database answered: is the address right?", answered=True
            )
        if data.get("schema", 0) < SCHEMA_VERSION:
            raise self._outdated("the table is of an older version", code="")

    def _remember(self, response: httpx.Response) -> None:
        self._answer.status = response.status_code
        self._answer.retry_after = _seconds(response.headers.get("retry-after"))

    def _undelivered(self, error: PostgrestAPIError) -> Undelivered:
        """What an error answer means.

        The codes are PostgreSQL's (SQLSTATE, appendix A of its manual) and PostgREST's.
        """
        status: int = self._answer.status
        code = str(error.code or status)[:LONGEST_CODE]
        state = code[:2] if len(code) == 5 else ""  # the class of an SQLSTATE
        message = str(error.message or "no message")[:LONGEST_MESSAGE]
        reason = f"{message} (HTTP {status}, {code})"
        if code == "42501":
            refused = f"the key may not call {self._function}: {reason}"
            return Misconfigured(refused, code=code, remedy=grant(self._settings.table))
        if code.startswith("PGRST30") or status == 401:
            return Misconfigured(f"the key was not accepted: {reason}", code=code)
        # 22023: the role that the key names does not exist.
        if code in {"PGRST202", "PGRST203", "22023"} or state == "42":
            return self._outdated(reason, code=code)
        if status == 413:
            return TooLarge(f"a record is larger than the database takes: {reason}", code=code)
        if state in _RECORDS_FAULT:
            return Rejected(reason, code=code)
        return Unavailable(
            reason,
            code=code,
            answered=state not in _DATABASES_FAULT and not code.startswith("PGRST0"),
            slow=code == "57014",
            retry_after=self._answer.retry_after,
        )

    def _outdated(self, reason: str, *, code: str) -> Misconfigured:
        sql = migration(self._settings.table)
        return Misconfigured(
            f"the database lacks what `mcp-gateway supabase-schema --table {self._settings.table}`"
            f" prints: {reason}",
            code=code,
            remedy=sql,
        )


# An escape that is not itself escaped: an even number of backslashes stands before it.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def without_nul(body: str) -> str:
    """JSON with U+FFFD in place of each NUL character in its texts."""
    return _NUL.sub(r"\1\\ufffd", body)


def _seconds(header: str | None) -> float | None:
    return float(header) if header is not None and header.isdecimal() else None


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
