from __future__ import annotations

import pytest

from mcp_gateway.errors import ConfigError
from mcp_gateway.upstream.endpoint import Endpoint


@pytest.mark.parametrize(
    ("url", "host", "port", "path", "authority"),
    [
        ("https://api.moonshot.ai/v1", "api.moonshot.ai", 443, "/v1", "api.moonshot.ai"),
        ("http://127.0.0.1:8080", "127.0.0.1", 8080, "", "127.0.0.1:8080"),
        ("http://[::1]:80/a/b/", "::1", 80, "/a/b", "[::1]"),
        ("https://[2001:db8::1]:8443/", "2001:db8::1", 8443, "", "[2001:db8::1]:8443"),
        ("https://API.Example.COM", "api.example.com", 443, "", "api.example.com"),
        ("https://bücher.example/", "xn--bcher-kva.example", 443, "", "xn--bcher-kva.example"),
        ("http://my_service:80/a%20b", "my_service", 80, "/a%20b", "my_service"),
    ],
)
def test_a_url_is_read(url: str, host: str, port: int, path: str, authority: str) -> None:
    endpoint = Endpoint.parse(url)
    assert (endpoint.host, endpoint.port, endpoint.base_path) == (host, port, path)
    assert endpoint.authority == authority
    assert endpoint.tls == url.startswith("https")
    assert str(endpoint) == f"{endpoint.scheme}://{authority}{path}"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://example.com", "http://"),
        ("example.com", "http://"),
        ("https://", "host name"),
        ("https://:443", "host name"),
        ("https://a b.example", "host name"),
        ("https://example.com:0", "port"),
        ("https://example.com:99999", "port"),
        ("https://example.com:port", "port"),
        ("https://user:hunter2@example.com", "without user"),
        ("https://example.com/?key=hunter2", "without query"),
        ("https://example.com/#part", "fragment"),
        ("https://example.com/a b", "percent-encoded"),
        ("https://example.com/a\r\nX-Evil: 1", "percent-encoded"),
        ("https://[::1", "a URL such as"),
        ("https://ex\u2100mple..com", "host name|a URL such as"),
        ("https://" + "ü" * 300 + ".com", "host name"),
    ],
)
def test_what_is_no_such_url_is_refused_without_being_repeated(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Endpoint.parse(url)
    assert "hunter2" not in str(caught.value)


def test_a_weight_is_at_least_one() -> None:
    assert Endpoint.parse("https://a.example", 3).weight == 3
    with pytest.raises(ConfigError, match="weight"):
        Endpoint.parse("https://a.example", 0)


def test_equal_endpoints_are_one_key() -> None:
    one, other = (Endpoint.parse("https://a.example/v1") for _ in range(2))
    assert one == other
    assert {one: 1}[other] == 1
    assert one != Endpoint.parse("https://a.example/v2")
