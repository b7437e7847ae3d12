"""Spans as they arrive at a receiver, through OpenTelemetry's own exporter."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.otlp_receiver import Receiver, attributes, otlp_receiver
from tests.support.port import free_port

from mcp_gateway.telemetry.tracing import Kind, Span, SpanSender
from mcp_gateway.telemetry.tracing_otlp import OTLPExporter, traces_url

pytestmark = pytest.mark.integration


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with otlp_receiver() as running:
        yield running


def span(**more: Any) -> Span:
    fields: dict[str, Any] = {
        "name": "chat",
        "kind": Kind.CLIENT,
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "parent_id": "c" * 16,
        "start": 1_700_000_000.25,
        "end": 1_700_000_001.5,
        "attributes": {"words": ("a", "b"), "number": 7, "yes": True, "ratio": 0.5},
    }
    return Span(**{**fields, **more})


async def sent(receiver: Receiver | str, *spans: Span, gateway: str = "llm") -> SpanSender:
    url = receiver if isinstance(receiver, str) else receiver.url
    sender = SpanSender()
    sender.use(OTLPExporter(url, gateway=gateway))
    sender.put(spans)
    await sender.aclose(10.0)
    return sender


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://vendor.example/otlp", "https://vendor.example/otlp/v1/traces"),
        ("https://vendor.example/v1/traces", "https://vendor.example/v1/traces"),
    ],
)
def test_the_path_is_added_unless_it_is_there(endpoint: str, url: str) -> None:
    assert traces_url(endpoint) == url


async def test_everything_of_a_span_arrives(receiver: Receiver) -> None:
    await sent(receiver, span(events=[("first_token", 1_700_000_000.5)], state="vendor=1"))
    (got,) = receiver.spans
    assert (got.trace_id.hex(), got.span_id.hex()) == ("a" * 32, "b" * 16)
    assert got.parent_span_id.hex() == "c" * 16
    assert got.start_time_unix_nano == 1_700_000_000_250_000_000
    assert got.end_time_unix_nano == 1_700_000_001_500_000_000
    assert attributes(got) == {"words": ["a", "b"], "number": 7, "yes": True, "ratio": 0.5}
    assert [(e.name, e.time_unix_nano) for e in got.events] == [
        ("first_token", 1_700_000_000_500_000_000)
    ]
    assert got.trace_state == "vendor=1"
    (resource,) = receiver.resources
    assert resource["service.name"] == "llm"
    assert resource["service.instance.id"]


async def test_the_environment_names_the_gateway_and_opens_the_receiver(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "edge")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20word")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    await sent(receiver, span())
    assert receiver.resources[0]["service.name"] == "edge"
    assert receiver.resources[0]["deployment.environment.name"] == "test"
    assert receiver.headers[0]["authorization"] == "Bearer word"
    assert receiver.headers[0]["content-encoding"] == "gzip"
    assert len(receiver.spans) == 1


async def test_no_proxy_of_the_environment_comes_between(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    await sent(receiver, span())
    assert len(receiver.spans) == 1


async def test_what_a_client_makes_up_costs_no_other_span_and_no_log(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "opentelemetry")
    odd = span(state="no such state,,=x", attributes={"name": "\ud800", "fine": 1})
    sender = await sent(receiver, odd, span())
    assert len(receiver.spans) == 2
    assert attributes(receiver.spans[0]) == {"fine": 1}
    assert sender.stats().exported == 2
    assert [each for each in caplog.records if each.name.startswith("opentelemetry")] == []


@pytest.mark.parametrize("status", [400, 401, 404, 503])
async def test_a_receiver_that_refuses_is_named_once_with_its_reason(
    receiver: Receiver, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = status
    async with asyncio.timeout(60.0):
        sender = await sent(receiver, span())
    assert sender.stats().exported == 0
    lines = [each for each in caplog.records if "spans cannot" in each.getMessage()]
    if status != 503:  # 503 is tried again until the end
        (line,) = lines
        fields = vars(line)["fields"]
        assert fields["endpoint"] == receiver.url
        assert str(status) in fields["problem"]


async def test_nobody_at_the_address_is_a_failure_within_the_bound() -> None:
    async with asyncio.timeout(60.0):
        sender = await sent(f"http://127.0.0.1:{free_port()}", span())
    assert sender.stats().exported == 0
