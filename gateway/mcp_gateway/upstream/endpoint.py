"""Where a provider can be reached."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from mcp_gateway.errors import ConfigError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An origin, and the path under which its API lives.

    Attributes:
        scheme: `http` or `https`.
        host: name or address, in ASCII, IPv6 without brackets.
        port: TCP port.
        base_path: starts with a slash and does not end with one; empty for the root.
        weight: share of new connections among the endpoints of one provider, above 0.
    """

    scheme: str
    host: str
    port: int
    base_path: str = ""
    weight: int = 1
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Looked up on every request: hashing five fields each time would cost more than the rest.
        key = (self.scheme, self.host, self.port, self.base_path, self.weight)
        object.__setattr__(self, "_hash", hash(key))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.base_path}"

    @property
    def tls(self) -> bool:
        """Whether connections to it are encrypted."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The value of the Host header: the port only where it is not the scheme's."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @classmethod
    def parse(cls, url: str, weight: int = 1) -> Endpoint:
        """Read `scheme://host[:port][/path]`.

        Raises:
            ConfigError: it is not such a URL, or carries a user, a query or a fragment.
        """
        if weight < 1:
            raise ConfigError("expected a weight of 1 or more")
        parts = _split(url)
        host, port = _host_and_port(parts)
        path = parts.path.rstrip("/")
        if not _PATH.fullmatch(path):
            raise ConfigError("expected a percent-encoded path in the URL")
        return cls(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], path, weight)


def _split(url: str) -> SplitResult:
    # The URL itself is never repeated in a message: it may hold a password.
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise ConfigError("expected a URL such as https://api.example.com/v1") from exc
    if parts.scheme not in _DEFAULT_PORTS:
        raise ConfigError("expected a URL that begins with http:// or https://")
    if "@" in parts.netloc:
        raise ConfigError(
            "expected a URL without user and password; keys have a field of their own"
        )
    if parts.query or parts.fragment:
        raise ConfigError("expected a URL without query and fragment")
    return parts


def _host_and_port(parts: SplitResult) -> tuple[str, int | None]:
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError as exc:
        raise ConfigError("expected a port between 1 and 65535 in the URL") from exc
    if port == 0:
        raise ConfigError("expected a port between 1 and 65535 in the URL")
    try:
        host = host.encode("ascii").decode() if host.isascii() else host.encode("idna").decode()
    except UnicodeError as exc:
        raise ConfigError("expected a host name in the URL") from exc
    if not _HOST.fullmatch(host):
        raise ConfigError("expected a host name or an address in the URL")
    return host, port
