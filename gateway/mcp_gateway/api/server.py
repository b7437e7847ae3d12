"""The listeners: where clients come in, and what they may cost."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field

from mcp_gateway.api.fields import URL_PATH, Count, Duration, DurationOrZero, Model, Rule, Size
from mcp_gateway.api.secret import SecretSource

CONTROL_PORT = 9443
"""Where an operator reaches a gateway, beside the two ports of the document."""
PEER_PORT = 9082
"""Where pods of one gateway reach each other."""

Port = Annotated[int, Field(ge=0, le=65_535)]
Host = Annotated[str, Field(min_length=1, max_length=253)]

LOOPBACK: Final = r"^(localhost|::1|127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})$"
_LOOPBACK: Final = re.compile(LOOPBACK, re.ASCII)


def is_loopback(host: str) -> bool:
    """Tell whether a listener on this host can be reached from this machine only."""
    return _LOOPBACK.fullmatch(host) is not None


class ServerLimits(Model):
    """What one client or one request may cost before it is refused."""

    max_body: Size = 4 * 2**20
    """Largest request body. Beyond it the answer is 413 and the connection is closed. The
    default `4Mi` holds about a million tokens of conversation."""

    max_frame: Size = 4 * 2**20
    """Largest WebSocket message. Beyond it the connection is closed with 1009."""

    max_header: Size = 32 * 2**10
    """Largest header block of a request, the request line included. Beyond it: 431."""

    max_connections: Count = 10_000
    """Client connections open at once on the main port. The next 64 are told 503 and closed, and
    further ones are cut, so that a flood cannot take the memory of those that are served. The
    admin port takes 128."""

    max_in_flight_per_connection: Count = 128
    """Requests of one WebSocket being worked on at once. The next is answered `Overloaded`."""

    request_timeout: Duration = 30.0
    """Time within which a whole request must have arrived, from its first byte. Ends clients
    that send a byte a second."""

    idle_timeout: Duration = 120.0
    """Time a connection may stay open without a request. WebSockets are pinged instead, and
    closed when they do not answer."""


class ServerTLS(Model):
    """The certificate of the main port. Reloaded when its files change."""

    secret_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """A Secret of type kubernetes.io/tls with `tls.crt` and `tls.key`, such as cert-manager
    writes. On a laptop, the folder `SECRETS_DIR/NAME`."""

    cert_file: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """Path of the certificate chain in PEM, the server's own first. Needs `keyFile`."""

    key_file: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """Path of the private key in PEM, without a passphrase. Needs `certFile`."""

    rules = (
        Rule(
            ("secret_name", "cert_file", "key_file"),
            lambda t: (
                (t.secret_name is None) == (t.cert_file is not None)
                and (t.cert_file is None) == (t.key_file is None)
            ),
            "has(self.secretName) != has(self.certFile) && has(self.certFile) == has(self.keyFile)",
            "give either secretName, or certFile and keyFile together",
        ),
    )


class Server(Model):
    """Where clients come in, and where operators look."""

    host: Host = "0.0.0.0"  # noqa: S104 - the original's default; off loopback a key is asked for
    """Address of the main port. `127.0.0.1` for this machine only. Off loopback every request
    needs a credential."""

    port: Port = 8079
    """Main port: MCP over WebSocket and HTTP, and the OpenAI face. 0 lets the system choose."""

    admin_host: Host = "127.0.0.1"
    """Address of the admin port. The operator sets `0.0.0.0` in a cluster, where the probes of
    the kubelet and the scrapes of Prometheus come from outside."""

    admin_port: Port = 9079
    """Admin port: `/livez`, `/readyz`, `/metrics`, `/status`, `PUT /config`, `PUT /limits` and
    the status page. 0 lets the system choose."""

    admin_token: SecretSource | None = None
    """Bearer token for everything on the admin port but `/livez`, `/readyz` and `/metrics`.
    Without one, the rest is answered on loopback only."""

    path: Annotated[str, Field(max_length=256, pattern=URL_PATH)] = "/mcp"
    """Path of the MCP endpoint, the same for WebSocket and HTTP."""

    websocket: bool = True
    """Serve MCP over WebSocket: subprotocol `mcp`, one message per text frame."""

    http: bool = True
    """Serve MCP over Streamable HTTP: `POST` on `path`."""

    openai: bool = True
    """Serve `POST /v1/chat/completions` and `GET /v1/models`, so that any OpenAI client can
    use the gateway by changing its base URL."""

    tls: ServerTLS | None = None
    """Certificate of the main port. Without one the port speaks plain HTTP."""

    allowed_origins: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253)]], Field(max_length=64)
    ] = Field(default=[])
    """Web origins whose pages may call the gateway, such as `https://chat.example.com`; `*` for
    all. Empty: a request with an `Origin` of another host is refused, which is what keeps
    a web page from driving a gateway on the visitor's machine."""

    allowed_hosts: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253)]], Field(max_length=64)
    ] = Field(default=[])
    """Values of the `Host` header that are served, without a port. Empty: on loopback, the
    loopback names; elsewhere, all."""

    shutdown_grace: DurationOrZero = 30.0
    """Time that requests in flight get to end after SIGTERM. A pod's
    `terminationGracePeriodSeconds` must be longer."""

    limits: ServerLimits = ServerLimits()
    """Bounds on what one client or one request may cost."""

    rules = (
        Rule(
            ("admin_port", "port"),
            lambda s: s.port == 0 or s.port != s.admin_port,
            "self.port == 0 || self.port != self.adminPort",
            "port and adminPort must differ",
        ),
        Rule(
            ("port", "admin_port"),
            lambda s: not {CONTROL_PORT, PEER_PORT} & {s.port, s.admin_port},
            "!(self.port in [9082, 9443]) && !(self.adminPort in [9082, 9443])",
            "9443 and 9082 are where an operator and other pods reach a pod: choose another port",
        ),
        Rule(
            ("websocket", "http", "openai"),
            lambda s: s.websocket or s.http or s.openai,
            "self.websocket || self.http || self.openai",
            "at least one of websocket, http and openai must be true",
        ),
    )
