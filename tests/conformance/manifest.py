"""What MCP asks of a server like this one, requirement by requirement.

Each has a name, the specification's page and section, and what is to be observed. A test says
which ones it shows with `@meets("name", ...)`; `test_manifest` holds that none is left without.
Where the gateway does something else on purpose, `divergence` says what and why, and the test
shows that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

_SITE = "https://modelcontextprotocol.io/specification"

Test = TypeVar("Test", bound=Callable[..., None])


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing the specification asks for.

    Attributes:
        revision: the revision whose text it is.
        page: the page, as its address names it, with the section's anchor.
        text: what is to be observed.
        divergence: what is done instead, and why; empty where the requirement is met as it is.
    """

    revision: str
    page: str
    text: str
    divergence: str = ""

    @property
    def link(self) -> str:
        """Where it is written."""
        return f"{_SITE}/{self.revision}/{self.page}"


def meets(*names: str) -> Callable[[Test], Test]:
    """Say which requirements a test shows.

    Raises:
        KeyError: there is no requirement of that name.
    """
    for name in names:
        REQUIREMENTS[name]

    def same(test: Test) -> Test:
        return test

    return same


_S = "2026-07-28"
_HTTP = "basic/transports/streamable-http"
_H = "2025-11-25"

REQUIREMENTS: dict[str, Requirement] = {
    # JSON-RPC, all revisions
    "request:id:type": Requirement(
        _S, "basic#requests", "A request has a string or an integer as its id, never null."
    ),
    "response:id:same": Requirement(
        _S, "basic#responses", "A response has its request's id, in the same JSON type."
    ),
    "error:shape": Requirement(
        _S, "basic#error-responses", "An error has an integer code, a message, and data at will."
    ),
    "error:id:unreadable": Requirement(
        _S,
        "basic#error-responses",
        "An error for a message whose id could not be read has no id.",
        divergence="It has the id null, as JSON-RPC 2.0 §5 asks and the reference sends.",
    ),
    "error:codes:reserved": Requirement(
        _S,
        "basic#error-codes",
        "No code of MCP's ranges is used but the defined ones; own codes are outside -32768 to "
        "-32000; -32002 and -32042 are not sent.",
    ),
    "batch:refused": Requirement(
        "2025-06-18", "changelog", "A batch is not part of the protocol any more."
    ),
    "notification:no-response": Requirement(
        _S, "basic#notifications", "A notification is never answered with a message."
    ),
    # 2026-07-28: per-request metadata
    "meta:version:required": Requirement(
        _S, "basic#_meta", "A request without `protocolVersion` in `_meta` is -32602, HTTP 400."
    ),
    "meta:capabilities:required": Requirement(
        _S, "basic#_meta", "A request without `clientCapabilities` in `_meta` is -32602, HTTP 400."
    ),
    "meta:client-info:optional": Requirement(
        _S, "basic#_meta", "A request without `clientInfo` is served."
    ),
    "meta:log-level:known": Requirement(
        _S, "server/utilities/logging", "An unknown `logLevel` is -32602."
    ),
    "meta:trace-context": Requirement(
        _S, "basic#_meta", "`traceparent` and `tracestate` are read from `_meta`, unprefixed."
    ),
    "meta:server-info": Requirement(_S, "basic#_meta", "Every result names the server in `_meta`."),
    "result:type": Requirement(_S, "basic#resulttype", "Every result has a `resultType`."),
    "version:unsupported": Requirement(
        _S,
        "basic/versioning#protocol-version-negotiation",
        "An unserved revision is -32022 with `supported` and `requested`, HTTP 400.",
    ),
    "version:dual-era": Requirement(
        _S,
        "basic/versioning#backward-compatibility-with-initialization-based-versions",
        "A request with `_meta` is served statelessly, `initialize` opens the handshake, on one "
        "endpoint.",
    ),
    "discover:served": Requirement(
        _S, "server/discover", "`server/discover` is served and says versions and capabilities."
    ),
    "list:cacheable": Requirement(
        _S, "server/utilities/caching", "Lists and discover say `ttlMs` and `cacheScope`."
    ),
    # 2026-07-28: Streamable HTTP
    "http:accept": Requirement(
        _S,
        f"{_HTTP}#sending-messages",
        "The client lists both `application/json` and `text/event-stream` in `Accept`.",
        divergence="One that lists only JSON is served, in JSON; without JSON it is 406.",
    ),
    "http:notification:accepted": Requirement(
        _S, f"{_HTTP}#sending-messages", "A notification is taken in, whatever it says."
    ),
    "http:notification:unsupported": Requirement(
        _S,
        f"{_HTTP}#sending-messages",
        "A notification that cannot be taken in has an error status.",
    ),
    "http:response:refused": Requirement(
        _S, f"{_HTTP}#sending-messages", "The client posts no responses."
    ),
    "http:cancel:by-closing": Requirement(
        _S,
        f"{_HTTP}#cancellation",
        "Closing the stream cancels; a posted `notifications/cancelled` does nothing.",
    ),
    "http:version-header": Requirement(
        _S,
        f"{_HTTP}#protocol-version-header",
        "`MCP-Protocol-Version` is there and equals `_meta`'s, else -32020, HTTP 400.",
    ),
    "http:method-header": Requirement(
        _S,
        f"{_HTTP}#standard-request-headers",
        "`Mcp-Method` is there and equals the method, case counting, else -32020, HTTP 400.",
    ),
    "http:name-header": Requirement(
        _S,
        f"{_HTTP}#standard-request-headers",
        "`Mcp-Name` is there for `tools/call` and equals the tool, else -32020, HTTP 400.",
    ),
    "http:name-header:encoded": Requirement(
        _S, f"{_HTTP}#value-encoding", "An encoded `Mcp-Name` is decoded before it is compared."
    ),
    "http:headers:white-space": Requirement(
        _S, f"{_HTTP}#server-validation", "White space around a header's value is not part of it."
    ),
    "http:headers:case": Requirement(
        _S, f"{_HTTP}#case-sensitivity", "Header values are case-sensitive."
    ),
    "http:headers:custom": Requirement(
        _S,
        f"{_HTTP}#server-behavior-for-custom-headers",
        "An `Mcp-Param-*` header that no tool declares is ignored.",
    ),
    "http:unknown-method": Requirement(
        _S, f"{_HTTP}#protocol-version-header", "An unknown method is -32601, HTTP 404."
    ),
    "http:removed-methods": Requirement(
        _S, "changelog", "What 2026-07-28 removed is an unknown method there."
    ),
    "http:session-id:ignored": Requirement(
        _S, f"{_HTTP}#earlier-streamable-http-revisions", "`Mcp-Session-Id` is ignored."
    ),
    # 2025-06-18 and 2025-11-25: the handshake
    "initialize:negotiation": Requirement(
        _H,
        "basic/lifecycle#version-negotiation",
        "`initialize` is answered with the asked revision where it is served, else with another.",
    ),
    "initialize:result": Requirement(
        _H,
        "basic/lifecycle#initialization",
        "`initialize` is answered with revision, capabilities and server.",
    ),
    "initialize:first": Requirement(
        _H,
        "basic/lifecycle#initialization",
        "Before `initialize` the client sends nothing but pings.",
    ),
    "initialized:accepted": Requirement(
        _H, "basic/lifecycle#initialization", "`notifications/initialized` is taken in."
    ),
    "ping:answered": Requirement(
        _H, "basic/utilities/ping", "`ping` is answered with an empty result."
    ),
    "cancel:notification": Requirement(
        _H,
        "basic/utilities/cancellation",
        "`notifications/cancelled` names the request to stop; a malformed one is ignored.",
    ),
    "http:handshake:no-header": Requirement(
        _H,
        "basic/transports#protocol-version-header",
        "Without `MCP-Protocol-Version`, 2025-03-26 is assumed.",
    ),
    "http:handshake:bad-header": Requirement(
        _H, "basic/transports#protocol-version-header", "An unsupported one is HTTP 400."
    ),
    "http:handshake:session-less": Requirement(
        _H,
        "basic/transports#session-management",
        "A server may do without sessions: no request needs one that came before.",
    ),
    "http:handshake:response": Requirement(
        _H, "basic/transports#sending-messages-to-the-server", "A posted response is taken in."
    ),
    # tools, all revisions
    "tools:list": Requirement(
        _H, "server/tools#listing-tools", "`tools/list` is answered with the tools."
    ),
    "tools:list:cursor": Requirement(
        _H, "server/utilities/pagination#error-handling", "An unknown cursor is -32602."
    ),
    "tools:call:result": Requirement(
        _H, "server/tools#tool-result", "A result has content, and structured content besides."
    ),
    "tools:call:output-schema": Requirement(
        _H,
        "server/tools#output-schema",
        "Structured content is of the form that the tool's output schema states.",
    ),
    "tools:call:error": Requirement(
        _H, "server/tools#error-handling", "A tool's failure is a result with `isError`."
    ),
    "tools:call:arguments": Requirement(
        _H, "server/tools#calling-tools", "A call has a name, and an object as its arguments."
    ),
    "progress:token": Requirement(
        _H,
        "basic/utilities/progress",
        "A progress notification carries its request's token, in the same JSON type.",
    ),
}
