"""What the command does with the gateway's answers; the gateway is a client in memory."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from mcp_gateway import cli
from mcp_gateway.cli import call
from mcp_gateway.client import Client
from mcp_gateway.client.wire import Progress, Result, ToolCall
from mcp_gateway.errors import ConnectFailed, GatewayError, RateLimited

WHOLE = {
    "content": "Hello there.",
    "provider": "kimi",
    "model": "kimi-k3",
    "finish_reason": "stop",
    "attempts": 1,
    "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    "timings": {"queue": 0.0, "upstream": 0.2, "total": 0.25, "first_token": 0.05},
    "id": "abc",
}


class Gateway:
    """A transport that streams an answer in words."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self.error: GatewayError | None = None
        self.pieces = ["Hello", " there."]
        self.answer: dict[str, Any] = WHOLE
        self.models = [{"id": "glm-5", "provider": "glm"}, {"id": "kimi-k3", "provider": "kimi"}]

    async def events(self, call: ToolCall) -> AsyncGenerator[Progress | Result, None]:
        self.calls.append(call)
        if call.tool == "models":
            yield Result(call.id, {"structuredContent": {"models": self.models}})
            return
        for piece in self.pieces if call.stream else ():
            yield Progress(call.id, piece)
        if self.error is not None:
            raise self.error
        yield Result(call.id, {"structuredContent": self.answer})

    async def aclose(self) -> None:
        pass


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    monkeypatch.delenv("MCP_GATEWAY_API_KEY", raising=False)
    made = Gateway()

    def client(args: argparse.Namespace, url: str) -> Client:
        return Client(url, transport=made)

    monkeypatch.setattr(call, "_client", client)
    return made


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*argv: str) -> tuple[int, str, str]:
        status = cli.main(["call", *argv])
        return status, *capsys.readouterr()

    return run


def test_the_answer_is_streamed_to_stdout_and_told_about_on_stderr(
    gateway: Gateway, run: Run
) -> None:
    status, out, err = run("--model", "kimi-k3", "Hello!")

    assert (status, out) == (0, "Hello there.\n")
    assert err == "kimi kimi-k3 · 3 + 4 tokens · first token 50 ms · total 250 ms · abc\n"
    assert gateway.calls[0].stream


def test_an_answer_that_ends_its_line_gets_no_second_end(gateway: Gateway, run: Run) -> None:
    gateway.pieces = ["Hello\n"]

    assert run("--model", "m", "Hello!")[1] == "Hello\n"


def test_options_become_the_request(gateway: Gateway, run: Run) -> None:
    run(
        *("--model", "m", "--provider", "kimi", "--system", "Be brief.", "--max-tokens", "5"),
        *("--temperature", "0.5", "--timeout", "9", "--no-stream", "Hello!"),
    )

    (made,) = gateway.calls
    assert made.arguments == {
        "model": "m",
        "provider": "kimi",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello!"},
        ],
        "max_tokens": 5,
        "temperature": 0.5,
    }
    assert made.timeout == 9.0
    assert not made.stream


def test_without_a_model_the_first_of_the_provider_is_asked(gateway: Gateway, run: Run) -> None:
    _, _, err = run("--provider", "kimi", "Hello!")

    assert gateway.calls[1].arguments["model"] == "kimi-k3"
    assert "model: kimi-k3 (the first of 1" in err


def test_a_provider_without_models_needs_one_named(gateway: Gateway, run: Run) -> None:
    status, out, err = run("--provider", "openai", "Hello!")

    assert (status, out) == (2, "")
    assert "the gateway lists no model of openai" in err


def test_json_is_the_whole_answer(gateway: Gateway, run: Run) -> None:
    status, out, err = run("--model", "m", "--json", "Hello!")

    answer = json.loads(out)
    assert status == 0
    assert answer["content"] == "Hello there."
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 4}
    assert answer["timings"]["first_token"] == 0.05
    assert answer["error"] is None
    assert err == ""


def test_a_failure_is_1_with_its_type_and_a_hint(gateway: Gateway, run: Run) -> None:
    gateway.error = RateLimited("too many requests", retry_after=2.5)

    status, out, err = run("--model", "m", "--no-stream", "Hello!")

    assert (status, out) == (1, "")
    assert "error: RateLimited: too many requests" in err
    assert "hint:  try again in 2.5 s" in err


def test_what_came_before_a_failure_stays_on_its_own_line(gateway: Gateway, run: Run) -> None:
    gateway.error = RateLimited("no more")

    status, out, _ = run("--model", "m", "Hello!")

    assert (status, out) == (1, "Hello there.\n")


def test_a_provider_that_is_away_is_not_told_as_a_gateway_that_is(
    gateway: Gateway, run: Run
) -> None:
    gateway.error = ConnectFailed("nobody there", provider="kimi")

    _, _, err = run("--model", "m", "Hello!")

    assert "error: ConnectFailed (kimi): nobody there" in err
    assert "hint:  the gateway runs" in err


def test_a_failure_has_a_json_form(gateway: Gateway, run: Run) -> None:
    gateway.error = ConnectFailed("nobody there", provider="kimi")

    status, out, _ = run("--model", "m", "--json", "Hello!")

    assert status == 1
    error = json.loads(out)["error"]
    assert error == {"message": "nobody there", "reason": "ConnectFailed", "provider": "kimi"}


def test_a_failure_before_the_chat_is_told_the_same_way(gateway: Gateway, run: Run) -> None:
    gateway.models = []
    gateway.error = ConnectFailed("nobody there")

    async def refuse(call: ToolCall) -> AsyncGenerator[Progress | Result, None]:
        raise ConnectFailed("nobody there")
        yield

    gateway.events = refuse  # type: ignore[method-assign]
    status, out, err = run("Hello!")

    assert (status, out) == (1, "")
    assert "ConnectFailed: nobody there" in err


def test_the_prompt_can_come_from_stdin(
    gateway: Gateway, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Grüße\n".encode())))
    run("--model", "m", "-")

    assert gateway.calls[0].arguments["messages"][0]["content"] == "Grüße\n"


def test_a_prompt_that_is_no_text_is_refused(
    gateway: Gateway, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe")))

    assert run("--model", "m", "-")[0] == 2


def parsed(*argv: str) -> argparse.Namespace:
    from mcp_gateway.cli import arguments  # noqa: PLC0415

    return arguments.parser().parse(["call", *argv, "Hello!"])


def test_the_key_comes_from_option_file_or_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key"
    file.write_text("from-file\n", encoding="utf-8")
    monkeypatch.setenv("MCP_GATEWAY_API_KEY", "from-environment")

    assert call._api_key(parsed()) == "from-environment"
    assert call._api_key(parsed("--api-key", "given")) == "given"
    assert call._api_key(parsed("--api-key-file", str(file))) == "from-file"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--api-key-file", "/nowhere/key"], "--api-key-file /nowhere/key"),
        (["--ca-file", "/nowhere/ca"], "--ca-file /nowhere/ca"),
        (["--url", "gopher://x"], "--url: expected"),
    ],
)
def test_a_place_that_is_wrong_is_2(options: list[str], words: str, run: Run) -> None:
    status, _, err = run("--model", "m", *options, "Hello!")

    assert status == 2
    assert words in err
