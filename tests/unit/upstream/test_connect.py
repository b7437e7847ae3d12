from __future__ import annotations

import ssl

import pytest

from mcp_gateway.errors import ConfigError
from mcp_gateway.upstream.connect import Proxy, tls_context


def test_a_context_verifies_and_speaks_only_current_tls() -> None:
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("bundle", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nxx\n"])
def test_a_bundle_without_a_certificate_is_refused(bundle: str) -> None:
    with pytest.raises(ConfigError, match="PEM"):
        tls_context(bundle)


def test_a_proxy_is_read_with_and_without_credentials() -> None:
    plain = Proxy.parse("http://proxy.test:3128")
    assert (plain.endpoint.host, plain.endpoint.port, plain.authorization) == (
        "proxy.test",
        3128,
        "",
    )
    assert Proxy.parse("http://user:p%40ss@proxy.test:3128").authorization == ("Basic dXNlcjpwQHNz")
    assert Proxy.parse("http://proxy.test", "user:p@ss").authorization == "Basic dXNlcjpwQHNz"


def test_a_proxy_never_shows_its_credentials() -> None:
    assert repr(Proxy.parse("http://user:hunter2@proxy.test")) == "Proxy(http://proxy.test)"


@pytest.mark.parametrize(
    "url",
    ["https://proxy.test", "socks5://proxy.test", "http://proxy.test/path", "http://[::1", "proxy"],
)
def test_other_proxies_are_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Proxy.parse(url)
