"""Every message the gateway writes is of the form that each revision's schema states."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from msgspec import Raw
from tests.conformance.manifest import meets
from tests.support.mcp_schema import checked, validator

from mcp_gateway import errors
from mcp_gateway.errors import GatewayError
from mcp_gateway.protocol import outbound
from mcp_gateway.protocol.versions import Era, Revision
from mcp_gateway.providers.base import ChatAnswer
from mcp_gateway.proxy.exchange import Attempt, Exchange, Face
from mcp_gateway.proxy.tools import tools_json

STATELESS = "2026-07-28"
HANDSHAKE = ["2025-06-18", "2025-11-25"]
ERAS = [(revision, Era.HANDSHAKE) for revision in HANDSHAKE] + [(STATELESS, Era.STATELESS)]
each_revision = pytest.mark.parametrize(("revision", "era"), ERAS)
RESPONSE = {
    "2025-06-18": "JSONRPCResponse",
    "2025-11-25": "JSONRPCResultResponse",
    "2026-07-28": "JSONRPCResultResponse",
}
ERROR = {
    "2025-06-18": "JSONRPCError",
    "2025-11-25": "JSONRPCErrorResponse",
    "2026-07-28": "JSONRPCErrorResponse",
}
TOOLS = tools_json(["kimi", "glm"])


ANSWER = ChatAnswer(
    content="Hello",
    reasoning="Hm.",
    finish_reason="tool_calls",
    tool_calls=Raw(b'[{"id":"1","type":"function","function":{"name":"f"}}]'),
    model="kimi-k2",
    prompt_tokens=9,
    completion_tokens=3,
)
EXCHANGE = Exchange(
    id="0123456789abcdef0123456789abcdef",
    face=Face.HTTP,
    method="tools/call",
    started=0.0,
    wall=0.0,
    provider="kimi",
    attempts=[Attempt("kimi", "kimi-k2")],
    first_token=0.25,
)


def result(revision: str, name: str, message: bytes) -> Any:
    """Return a response's result, once the response and the result are both of their form."""
    return checked(revision, name, checked(revision, RESPONSE[revision], message)["result"])


def errors_of(root: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from errors_of(child)


def made(kind: type[GatewayError]) -> GatewayError:
    if issubclass(kind, errors.UpstreamTimeout):
        return kind("x", phase="connect")
    if issubclass(kind, errors.UpstreamRefused):
        return kind("x", status=429, kind="frequency")
    return kind("x")


def responses(era: Era) -> dict[str, bytes]:
    error = errors.RateLimited("too many requests", retry_after=1.5)
    written = {
        "ListToolsResult": outbound.tools_list(1, era, TOOLS),
        "CallToolResult": outbound.chat_result(1, era, ANSWER, EXCHANGE, 2.0),
        "CallToolResult of models": outbound.structured_result(1, era, b'{"models":[]}'),
        "CallToolResult of an error": outbound.tool_error(1, era, error, "e1"),
    }
    if era is Era.STATELESS:
        return {**written, "DiscoverResult": outbound.discover(1, "Ask.")}
    initialize = outbound.initialize(1, Revision.R2025_06_18, "Ask.")
    return {**written, "InitializeResult": initialize, "EmptyResult": outbound.empty(1, era)}


@meets("tools:list", "tools:call:result", "tools:call:error", "initialize:result", "ping:answered")
@each_revision
def test_every_result_is_of_its_form(revision: str, era: Era) -> None:
    for name, message in responses(era).items():
        result(revision, name.split()[0], message)


@meets("discover:served")
def test_discover_says_versions_and_capabilities() -> None:
    said = result(STATELESS, "DiscoverResult", outbound.discover(1, ""))
    assert said["supportedVersions"] == [STATELESS]
    assert said["capabilities"] == {"tools": {}}


@meets("result:type", "meta:server-info")
def test_every_stateless_result_says_its_type_and_its_server() -> None:
    for message in [*responses(Era.STATELESS).values(), outbound.empty(1, Era.STATELESS)]:
        said = json.loads(message)["result"]
        assert said["resultType"] == "complete"
        server = said["_meta"]["io.modelcontextprotocol/serverInfo"]
        assert checked(STATELESS, "Implementation", server)["name"] == "mcp-gateway"


def test_no_handshake_result_has_the_fields_of_the_stateless_era() -> None:
    for message in responses(Era.HANDSHAKE).values():
        said = json.loads(message)["result"]
        assert not {"resultType", "_meta", "ttlMs", "cacheScope"} & set(said)


@meets("list:cacheable")
def test_lists_and_discover_say_for_how_long_and_for_whom() -> None:
    for message in (outbound.tools_list(1, Era.STATELESS, TOOLS), outbound.discover(1, "")):
        said = json.loads(message)["result"]
        assert said["ttlMs"] > 0
        assert said["cacheScope"] == "private"


@meets("tools:call:output-schema")
@each_revision
def test_structured_content_is_what_the_tool_states(revision: str, era: Era) -> None:
    listed = result(revision, "ListToolsResult", outbound.tools_list(1, era, TOOLS))
    schemas = {tool["name"]: tool["outputSchema"] for tool in listed["tools"]}
    failed = outbound.tool_error(1, era, errors.PoolSaturated("full", provider="kimi"), "e1")
    answers = {
        "kimi_chat": [outbound.chat_result(1, era, ANSWER, EXCHANGE, 2.0), failed],
        "chat": [outbound.chat_result(1, era, ChatAnswer(content="Hello"), EXCHANGE, 2.0), failed],
        "models": [
            outbound.structured_result(1, era, b'{"models":[{"id":"m","provider":"kimi"}]}'),
            failed,
        ],
    }
    for tool, messages in answers.items():
        for message in messages:
            said = json.loads(message)["result"]["structuredContent"]
            Draft202012Validator(schemas[tool]).validate(said)


@meets("response:id:same")
@pytest.mark.parametrize("request_id", [0, -7, 2**53, "", "seven", 'a"\\世'])
@each_revision
def test_an_answer_has_the_id_of_its_request(
    revision: str, era: Era, request_id: int | str
) -> None:
    error = outbound.error(request_id, errors.UnknownMethod("x"))
    answer = checked(revision, RESPONSE[revision], outbound.empty(request_id, era))
    for said in (answer, checked(revision, ERROR[revision], error)):
        assert said["id"] == request_id
        assert type(said["id"]) is type(request_id)


@meets("error:shape", "error:codes:reserved")
@pytest.mark.parametrize("kind", sorted(set(errors_of(GatewayError)), key=repr))
def test_every_error_is_of_its_form_and_within_its_codes(kind: type[GatewayError]) -> None:
    for revision, _ in ERAS:
        said = checked(revision, ERROR[revision], outbound.error(1, made(kind)))["error"]
        defined = {-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022}
        assert said["code"] in defined or not -32768 <= said["code"] <= -32000
        assert said["data"]["reason"] == kind.__name__


@meets("error:id:unreadable")
@each_revision
def test_an_error_without_a_readable_id_has_a_null_one(revision: str, era: Era) -> None:
    message = outbound.error(None, errors.InvalidMessage("x"))
    said = json.loads(message)
    assert said.pop("id", "absent") is None
    if revision != "2025-06-18":
        checked(revision, ERROR[revision], said)
    with pytest.raises(ValidationError):
        checked(revision, ERROR[revision], message)


@pytest.mark.parametrize(
    ("name", "kind", "details"),
    [
        ("HeaderMismatchError", errors.HeaderMismatch, {}),
        (
            "UnsupportedProtocolVersionError",
            errors.UnsupportedProtocolVersion,
            {"supported": [STATELESS], "requested": "1"},
        ),
        (
            "MissingRequiredClientCapabilityError",
            errors.MissingClientCapability,
            {"requiredCapabilities": {"sampling": {}}},
        ),
    ],
)
def test_the_errors_of_the_specification_are_of_their_own_form(
    name: str, kind: type[GatewayError], details: dict[str, object]
) -> None:
    checked(STATELESS, name, outbound.error(1, kind("x", details=details)))


@meets("progress:token")
@pytest.mark.parametrize("token", [0, 7, "", "seven"])
@each_revision
def test_progress_carries_the_token_of_its_request(
    revision: str, era: Era, token: int | str
) -> None:
    said = checked(revision, "ProgressNotification", outbound.progress(token, 3, "Hel"))
    checked(revision, "ProgressNotification", outbound.progress(token, 4, "", "hm"))
    assert said["params"]["progressToken"] == token
    assert type(said["params"]["progressToken"]) is type(token)


def test_the_schemas_are_those_of_three_revisions() -> None:
    assert validator("2025-06-18", "InitializeResult").schema != {}
    with pytest.raises(AssertionError, match="defines no"):
        validator("2026-07-28", "InitializeResult")
