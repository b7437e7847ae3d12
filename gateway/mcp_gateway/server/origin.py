"""Who may be talking through a browser: the Host and Origin of each request, and CORS.

A web page can make its visitor's browser send requests to any address, also to one behind the
visitor's firewall (by making its own name resolve to it). The browser says truthfully which page
it is (`Origin`) and which name it thinks it talks to (`Host`), so these two are checked on every
request. MCP 2026-07-28 §transports: an invalid Origin is answered 403.

Programs send no Origin and are not touched by any of this. There are no cookies here, so CORS
never allows credentials: a page must know an API key and put it into a header itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mcp_gateway.server.message import HTTPRequest

_LOOPBACK_NAME = re.compile(r"localhost|127(\.\d{1,3}){3}|\[::1\]", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(:\d{1,5})?")
_ORIGIN = re.compile(r"https?://(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(:\d{1,5})?", re.IGNORECASE)
_FIELD_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+( *, *[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")

ANY = "*"
REMEMBERED = 1024
"""Verdicts kept. A client has one Host and one Origin; a flood of made-up ones must not stay."""
LONGEST = 255
"""Bytes of a Host or an Origin that is no name of anything; RFC 1035 §2.3.4 has shorter ones."""
EXPOSED = (
    b"access-control-expose-headers: x-request-id, retry-after, www-authenticate\r\n"
    b"vary: origin\r\n"
)
PREFLIGHT = (
    b"access-control-allow-methods: GET, POST\r\n"
    b"access-control-max-age: 600\r\n"
    b"vary: origin, access-control-request-method, access-control-request-headers\r\n"
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard says of one pair of Host and Origin.

    Attributes:
        status: 0 where the request may go on, else the status to refuse it with.
        message: why, where it is refused.
        headers: CORS lines for the response.
    """

    status: int = 0
    message: str = ""
    headers: bytes = b""


class Guard:
    """Checks Host and Origin of requests to one listener."""

    def __init__(
        self,
        *,
        allowed_hosts: Sequence[str] = (),
        allowed_origins: Sequence[str] = (),
        loopback: bool,
    ) -> None:
        """Prepare the sets.

        Args:
            allowed_hosts: names served, without a port; `*.example.com` for all below it, `*`
                for all. Empty: the loopback names on a loopback listener, all elsewhere.
            allowed_origins: origins whose pages may call; `*` for all. Pages served from this
                machine always may: who can serve one here needs no browser to do harm.
            loopback: the listener can be reached from this machine only.
        """
        self._hosts = frozenset(host.lower() for host in allowed_hosts if not _wild(host))
        self._below = tuple(host[1:].lower() for host in allowed_hosts if _wild(host))
        self._any_host = ANY in allowed_hosts or (not allowed_hosts and not loopback)
        self._loopback_hosts = not allowed_hosts or loopback
        self._origins = frozenset(origin.lower().rstrip("/") for origin in allowed_origins)
        self._known: dict[tuple[bytes | None, bytes | None], Verdict] = {}

    def judge(self, request: HTTPRequest) -> Verdict:
        """Say whether a request may go on."""
        key = (request.headers.get(b"host"), request.headers.get(b"origin"))
        verdict = self._known.get(key)
        if verdict is None:
            if any(value is not None and len(value) > LONGEST for value in key):
                return Verdict(421, "no host and no origin is that long")
            verdict = self._judge(*key)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[key] = verdict
        return verdict

    def preflight(self, request: HTTPRequest) -> bytes:
        """Header lines of the answer to a CORS preflight that may go on."""
        asked = request.headers.get(b"access-control-request-headers", b"")
        if len(asked) > 1024 or not _FIELD_NAMES.fullmatch(asked):
            return PREFLIGHT
        return PREFLIGHT + b"access-control-allow-headers: " + asked + b"\r\n"

    def _judge(self, host: bytes | None, origin: bytes | None) -> Verdict:
        if not self._host_served(host):
            return Verdict(421, "this host is not served here")
        if origin is None:
            return Verdict()
        text = origin.decode("latin-1")
        if ANY in self._origins:
            return Verdict(headers=b"access-control-allow-origin: *\r\n" + EXPOSED)
        if not self._origin_allowed(text):
            return Verdict(403, "pages of this origin may not call this gateway")
        return Verdict(headers=b"access-control-allow-origin: " + origin + b"\r\n" + EXPOSED)

    def _host_served(self, host: bytes | None) -> bool:
        if host is None:
            # Only HTTP/1.0 comes without; a browser never does.
            return self._any_host
        match = _AUTHORITY.fullmatch(host.decode("latin-1"))
        if match is None:
            return False
        return self._any_host or self._named(match[1].lower())

    def _named(self, name: str) -> bool:
        if name in self._hosts or name.strip("[]") in self._hosts:
            return True
        if self._loopback_hosts and _LOOPBACK_NAME.fullmatch(name):
            return True
        return any(name.endswith(suffix) for suffix in self._below)

    def _origin_allowed(self, origin: str) -> bool:
        if origin.lower() in self._origins:
            return True
        match = _ORIGIN.fullmatch(origin)
        if match is None:
            return False
        name = match[1].lower()
        if _LOOPBACK_NAME.fullmatch(name):
            return True
        # A page of a host that is served by name here is this gateway's own neighbour. A host
        # that is merely not refused proves nothing: the attacker chose it.
        return name in self._hosts or any(name.endswith(suffix) for suffix in self._below)


def is_loopback_name(host: bytes) -> bool:
    """Tell whether a Host header names this machine, with or without a port."""
    match = _AUTHORITY.fullmatch(host.decode("latin-1"))
    return match is not None and _LOOPBACK_NAME.fullmatch(match[1]) is not None


def _wild(host: str) -> bool:
    return host.startswith("*.")
