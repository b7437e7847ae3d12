import pytest

from mcp_gateway.protocol import trace_context
from mcp_gateway.protocol.trace_context import TraceContext

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_a_traceparent_is_read_and_written() -> None:
    assert trace_context.parse(PARENT) == TraceContext(TRACE, SPAN, sampled=True)
    assert trace_context.parse(PARENT[:-1] + "0") == TraceContext(TRACE, SPAN, sampled=False)
    assert trace_context.traceparent(TRACE, SPAN, sampled=True) == PARENT


def test_flags_other_than_sampled_say_nothing_here() -> None:
    assert trace_context.parse(PARENT[:-2] + "03") == TraceContext(TRACE, SPAN, sampled=True)
    assert trace_context.parse(PARENT[:-2] + "02") == TraceContext(TRACE, SPAN, sampled=False)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        PARENT.upper(),
        PARENT + "-",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_what_is_malformed_is_no_context(value: str) -> None:
    assert trace_context.parse(value) is None
    assert trace_context.traceparent_of(value.encode()) == ""


def test_of_a_later_version_the_known_part_is_read() -> None:
    later = "cc" + PARENT[2:]
    assert trace_context.traceparent_of(f"{later}-what-the-future-brings".encode()) == later
    assert trace_context.traceparent_of(f"{later}.what".encode()) == ""


def test_a_tracestate_that_would_break_a_header_is_dropped() -> None:
    assert trace_context.tracestate_of("vendor=1,other=a b") == "vendor=1,other=a b"
    assert trace_context.tracestate_of("vendor=1\r\nauthorization: Bearer x") == ""
    assert trace_context.tracestate_of("vendor=é") == ""
    assert trace_context.tracestate_of("v=" + "1" * 600) == ""


def test_header_lines_end_each() -> None:
    assert trace_context.header_lines(PARENT, "") == f"traceparent: {PARENT}\r\n".encode()
    assert trace_context.header_lines(PARENT, "v=1").endswith(b"\r\ntracestate: v=1\r\n")


def test_sampling_is_decided_by_the_id_and_everything_or_nothing_is_exact() -> None:
    lowest, highest = TRACE[:16] + "0" * 16, TRACE[:16] + "f" * 16
    for trace_id in (lowest, TRACE, highest):
        assert trace_context.chosen(trace_id, trace_context.threshold(1.0))
        assert not trace_context.chosen(trace_id, trace_context.threshold(0.0))
    quarter = trace_context.threshold(0.25)
    assert trace_context.chosen(TRACE[:16] + "3fffffffffffffff", quarter)
    assert not trace_context.chosen(TRACE[:16] + "4000000000000000", quarter)
