from __future__ import annotations

import pytest
from pydantic import ValidationError

from mcp_gateway.api.server import Server, ServerTLS, is_loopback


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.example.com", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_the_two_ports_differ_unless_the_system_chooses() -> None:
    assert Server(port=0, admin_port=0).port == 0
    with pytest.raises(ValidationError, match="port and adminPort must differ"):
        Server(port=9079)


def test_at_least_one_face_is_served() -> None:
    assert Server(websocket=False, http=False).openai
    with pytest.raises(ValidationError, match="at least one"):
        Server(websocket=False, http=False, openai=False)


def test_a_certificate_comes_from_a_secret_or_from_two_files() -> None:
    assert ServerTLS(secret_name="tls").secret_name == "tls"
    assert ServerTLS(cert_file="/c", key_file="/k").key_file == "/k"
    for given in (
        {},
        {"certFile": "/c"},
        {"keyFile": "/k"},
        {"secretName": "s", "keyFile": "/k"},
        {"secretName": "s", "certFile": "/c", "keyFile": "/k"},
    ):
        with pytest.raises(ValidationError, match="either secretName"):
            ServerTLS.model_validate(given)
