from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from mcp_gateway.api import (
    AccountLimits,
    Auth,
    Autoscaling,
    Backend,
    Match,
    MCPGateway,
    OutboundProxy,
    Pool,
    Provider,
    RateLimit,
    Recording,
    Route,
    SecretSource,
    Server,
    Spec,
    Supabase,
    Tuning,
)
from mcp_gateway.config.check import layers, references, secrets, warnings
from mcp_gateway.config.problem import spell

LOCAL = Server(host="127.0.0.1")
PLAIN = SecretSource(value=SecretStr("x"))


def simulated(name: str = "kimi", **fields: Any) -> Provider:
    return Provider(name=name, type="simulator", **fields)


def route(name: str, provider: str = "kimi", **match: str) -> Route:
    return Route(name=name, match=Match(**match), backends=[Backend(provider=provider)])


def warned(**fields: Any) -> list[str]:
    fields.setdefault("providers", [simulated()])
    found = warnings(MCPGateway.of(Spec(**fields)))
    return [f"{spell(finding.loc)}: {finding.message}" for finding in found]


def test_an_ordinary_document_has_no_warnings() -> None:
    assert warned() == []


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        (
            {"middleware": ["auth"], "rate_limit": RateLimit(requests=1)},
            "spec.middleware: rateLimit has no effect without the rate_limit layer",
        ),
        (
            {"server": LOCAL, "middleware": ["logging"], "auth": Auth(anonymous=True)},
            "spec.middleware: auth has no effect without the auth layer",
        ),
        (
            {"middleware": ["rate_limit", "auth"]},
            "spec.middleware: rate_limit before auth counts all clients as one",
        ),
        (
            {"server": Server(admin_host="10.0.0.1")},
            "spec.server.adminHost: without adminToken only probes and metrics are answered here",
        ),
        (
            {"providers": [simulated(pool=Pool(min_connections=31))]},
            "spec.providers[0].pool.minConnections: minConnections is more than the 30 that may"
            " be open",
        ),
        (
            {
                "providers": [
                    simulated(limits=AccountLimits(concurrency=50), pool=Pool(max_connections=60))
                ]
            },
            "spec.providers[0].pool.maxConnections: 60 in each of 1 pods is over the account's 50",
        ),
        (
            {
                "autoscaling": Autoscaling(max_replicas=4),
                "providers": [simulated(tier="kimi-tier2", pool=Pool(max_connections=30))],
            },
            "spec.providers[0].pool.maxConnections: 30 in each of 4 pods is over the account's 100",
        ),
        (
            {"providers": [simulated(), simulated("spare")], "routes": [route("all")]},
            'spec.providers[1].name: no route leads to "spare"',
        ),
        (
            {"routes": [route("all"), route("later", model="a")]},
            'spec.routes[1].name: never reached: "all" before it takes everything',
        ),
        (
            {"routes": [route("all", model=".*"), route("later", model="a")]},
            'spec.routes[1].name: never reached: "all" before it takes everything',
        ),
        (
            {"providers": [simulated(api_key=PLAIN)]},
            "spec.providers[0].apiKey: a secret in plain text: whoever reads the document has it",
        ),
    ],
)
def test_what_is_probably_not_meant_is_told(fields: dict[str, Any], warning: str) -> None:
    assert warned(**fields) == [warning]


@pytest.mark.parametrize(
    "fields",
    [
        {"rate_limit": RateLimit(requests=1)},
        {"server": Server(admin_host="10.0.0.1", admin_token=SecretSource(env="T"))},
        {"routes": [route("some", model="a"), route("rest")]},
        {
            "tuning": Tuning(mode="Auto"),
            "replicas": 4,
            "providers": [simulated(tier="kimi-tier2", pool=Pool(max_connections=100))],
        },
        {"replicas": 4, "providers": [simulated(tier="kimi-tier0")]},
    ],
)
def test_what_is_fine_is_not_told(fields: dict[str, Any]) -> None:
    assert warned(**fields) == []


def test_references_are_found_in_data_that_is_wrong_elsewhere() -> None:
    data = {
        "spec": {
            "providers": [{"name": "kimi", "tpye": 1}, "text", {"name": "kimi"}],
            "routes": [
                {"name": 1, "backends": [{"provider": "kimmi"}, {"provider": 3}, None]},
                {"backends": "none"},
            ],
        }
    }

    found = [(spell(f.loc), f.message) for f in references(data)]

    assert found == [
        ("spec.providers[2].name", '"kimi" is taken by providers[0]'),
        (
            "spec.routes[0].backends[0].provider",
            'no provider is called "kimmi"; did you mean kimi?',
        ),
    ]


@pytest.mark.parametrize("data", [None, [], {"spec": []}, {"spec": {"providers": {}}}])
def test_data_of_another_shape_has_no_references(data: Any) -> None:
    assert list(references(data)) == []


def test_layers_are_built_in_or_installed() -> None:
    section = {"middleware": ["auth", "cache", "auth", 3]}

    found = [(spell(f.loc), f.message) for f in layers(section, ("spec",), ["trace"])]

    assert found == [
        ("spec.middleware[1]", 'no layer "cache" is built in or installed; did you mean trace?'),
        ("spec.middleware[2]", '"auth" is named before'),
    ]
    assert not list(layers({"middleware": ["trace"]}, ("spec",), ["trace"]))
    assert not list(layers(None, ("spec",), []))


def test_every_secret_is_known_with_its_place() -> None:
    source = SecretSource(env="A")
    provider = simulated(
        api_key=source,
        ca_bundle=source,
        proxy=OutboundProxy(url="http://proxy:3128", credentials=source),
    )
    spec = Spec(
        server=Server(admin_token=source),
        auth=Auth(api_keys=source),
        providers=[provider],
        recording=Recording(supabase=Supabase(url="https://a.supabase.co", key=source)),
    )

    assert [spell(loc) for loc, _ in secrets(MCPGateway.of(spec))] == [
        "spec.server.adminToken",
        "spec.auth.apiKeys",
        "spec.providers[0].apiKey",
        "spec.providers[0].caBundle",
        "spec.providers[0].proxy.credentials",
        "spec.recording.supabase.key",
    ]
