from __future__ import annotations

from pathlib import Path

import pytest

from mcp_gateway.config.document import parse
from mcp_gateway.config.explain import Setting, explain

SAMPLES = Path(__file__).parents[3] / "manifests" / "samples"
TEXT = """\
apiVersion: gateway.exai.dev/v1alpha1
kind: MCPGateway
spec:
  server:
    shutdownGrace: 10s
  rateLimit: {requests: 600}
  providers:
  - name: kimi
    type: kimi
    apiKey: {value: sk-secret}
    tier: kimi-tier2
    limits: {requestsPerMinute: 50}
    prices:
      kimi-k2.6: {input: 1, output: 2}
  - name: spare
    type: simulator
    models: [a, b]
"""


def settings(text: str) -> dict[str, Setting]:
    return {setting.path: setting for setting in explain(parse(text))}


@pytest.mark.parametrize(
    ("path", "value", "origin"),
    [
        ("kind", "MCPGateway", "file line 2"),
        ("metadata.name", "gateway", "default"),
        ("spec.server.shutdownGrace", "10s", "file line 5"),
        ("spec.server.port", 8079, "default"),
        ("spec.server.limits.maxBody", "4Mi", "default"),
        ("spec.rateLimit.requests", 600, "file line 6"),
        ("spec.rateLimit.burst", 60, "a tenth of requests"),
        (
            "spec.providers[0].endpoints[0].url",
            "https://api.moonshot.ai/v1",
            "default of type kimi",
        ),
        ("spec.providers[0].apiKey.value", "**********", "file line 10"),
        ("spec.providers[0].tier", "kimi-tier2", "file line 11"),
        ("spec.providers[0].limits.concurrency", 100, "preset kimi-tier2"),
        ("spec.providers[0].limits.requestsPerMinute", 50, "file line 12"),
        ("spec.providers[0].pool.maxConnections", 100, "the account's limit"),
        ("spec.providers[0].pool.maxOverflow", 0, "default"),
        ('spec.providers[0].prices["kimi-k2.6"].input', 1.0, "file line 14"),
        ("spec.providers[1].endpoints", [], "default"),
        ("spec.providers[1].models", ["a", "b"], "file line 17"),
        ("spec.providers[1].pool.maxConnections", 10, "default"),
        ("spec.providers[1].pool.maxOverflow", 20, "default"),
        ("spec.providers[1].simulator.latency.firstToken.median", "800ms", "default"),
        ("spec.routes[0].name", "kimi", "implied by the providers"),
        ("spec.retry.on", ["connect", "refused", "overload", "stale"], "default"),
        ("spec.podTemplate", {}, "default"),
    ],
)
def test_a_setting_has_its_value_and_its_origin(path: str, value: object, origin: str) -> None:
    found = settings(TEXT)[path]

    assert (found.value, found.origin) == (value, origin)


def test_what_is_not_set_and_has_no_effect_is_left_out() -> None:
    found = settings(TEXT)

    assert "spec.auth.jwt" not in found
    assert not any(path.startswith(("status", "spec.httpRoute")) for path in found)


def test_an_operator_decides_what_nobody_said() -> None:
    found = settings(TEXT + "  tuning: {mode: Auto}\n")

    assert found["spec.providers[1].pool.maxConnections"].origin == "the account's share"


def test_the_original_form_is_explained_by_its_lines() -> None:
    text = (SAMPLES / "mcp.yaml").read_text(encoding="utf-8")
    found = settings(text)

    assert found["spec.server.port"].origin == "mcp.yaml line 4"
    assert found["spec.providers[1].pool.idleTimeout"] == Setting(
        "spec.providers[1].pool.idleTimeout", "45s", "mcp.yaml line 15"
    )
    assert found["spec.providers[0].apiKey.env"].origin == "mcp.yaml"
    assert found["spec.providers[0].pool.acquireTimeout"].origin == "default"


def test_a_written_route_has_defaults_of_its_own() -> None:
    text = (SAMPLES / "failover.yaml").read_text(encoding="utf-8")

    assert settings(text)["spec.routes[0].backends[0].priority"].origin == "default"
