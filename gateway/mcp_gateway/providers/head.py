"""Request heads, compiled once and spliced before each body.

A head depends on the endpoint, the credential and the path, and on nothing of the request but
the body's length; so everything up to that number is bytes made in advance.
"""

from __future__ import annotations

from collections.abc import Mapping

from mcp_gateway.errors import ConfigError

USER_AGENT = b"mcp-gateway"


def bearer(credential: str | None) -> dict[bytes, bytes]:
    """The credential as request headers; none where there is no credential.

    Raises:
        ConfigError: the credential holds something that cannot stand in a header. The message
            does not repeat it.
    """
    if not credential:
        return {}
    if not credential.isascii() or not credential.isprintable() or " " in credential:
        message = "an API key must be printable ASCII without spaces; check for a line break in it"
        raise ConfigError(message)
    return {b"authorization": b"Bearer " + credential.encode("ascii")}


def compile_post(host: str, path: str, headers: Mapping[bytes, bytes]) -> bytes:
    """The head of a POST with a JSON body, up to and without the number of its bytes.

    Args:
        host: value of the `Host` header, with the port where it is not the scheme's own.
        path: absolute path.
        headers: further headers.
    """
    lines = _lines(b"POST", host, path, headers)
    lines += [b"content-type: application/json", b"content-length: "]
    return b"\r\n".join(lines)


def compile_get(host: str, path: str, headers: Mapping[bytes, bytes]) -> bytes:
    """A whole GET request."""
    return b"\r\n".join([*_lines(b"GET", host, path, headers), b"", b""])


def splice(head: bytes, body: bytes, lines: bytes = b"") -> bytes:
    """A whole request: a head from `compile_post` with the body's length, and the body.

    Args:
        head: from `compile_post`.
        body: the body.
        lines: further header lines of this request alone, each with its line break.
    """
    return b"%b%d\r\n%b\r\n%b" % (head, len(body), lines, body)


def _lines(method: bytes, host: str, path: str, headers: Mapping[bytes, bytes]) -> list[bytes]:
    lines = [
        b"%b %b HTTP/1.1" % (method, path.encode("ascii")),
        b"host: " + host.encode("ascii"),
        b"user-agent: " + USER_AGENT,
    ]
    lines += [b"%b: %b" % item for item in headers.items()]
    return lines
