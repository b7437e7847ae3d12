"""`mcp-gateway call`: one chat request to a running gateway."""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_gateway.cli import terminal
from mcp_gateway.errors import ConfigError, GatewayError

if TYPE_CHECKING:
    from mcp_gateway.api.chat import ChatRequest, ChatResponse
    from mcp_gateway.client import Client

URL = "ws://127.0.0.1:8079/mcp"

DESCRIPTION = """\
Send one chat request to a running gateway and print the answer as it comes.

The answer goes to stdout; who answered, how long it took and how many tokens it cost go to
stderr. A PROMPT of - is read from stdin."""

EXAMPLES = """\
examples:
  mcp-gateway call --provider kimi 'Hello!'
  mcp-gateway call --model glm-5 --system "Answer in one line." "Why is the sky blue?"
  git diff | mcp-gateway call --provider kimi --system "Review this change." -
  mcp-gateway call --url http://127.0.0.1:8079/mcp --json 'Hello!' | jq -r .content

environment:
  MCP_GATEWAY_URL      the gateway, where --url is not given
  MCP_GATEWAY_API_KEY  the key, where neither --api-key nor --api-key-file is given

exit status: 0 answered · 1 not answered · 2 wrong usage · 130 interrupted (the request is
cancelled at the provider)"""

_HINTS = {
    "Unauthenticated": "give a key with --api-key-file or MCP_GATEWAY_API_KEY; "
    "`mcp-gateway keys create NAME` makes one",
    "PermissionDenied": "this key may not call that model",
    "NoRoute": "no route of the gateway's document matches; try another --model or --provider",
    "ConnectFailed": "is the gateway running? `mcp-gateway run FILE` starts one; "
    "--url says where it is",
    "RateLimited": "wait, or give this client a higher rate",
    "InvalidArguments": "`mcp-gateway call --help` has examples",
    "NoProviderAvailable": "the gateway's admin page shows what is wrong with its providers",
    "CircuitOpen": "the provider failed repeatedly and is left alone for a while",
    "DeadlineExceeded": "--timeout gives it longer",
}

_PROVIDER_AWAY = (
    "the gateway runs, but cannot reach this provider: its address, the network, a proxy?"
)


def register(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "call",
        help="ask a running gateway something",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument("prompt", metavar="PROMPT", help="what to ask, or - to read it from stdin")
    parser.add_argument("--provider", metavar="NAME", default="", help="ask this provider")
    parser.add_argument(
        "--model", metavar="NAME", default="", help="ask this model (default: the first there is)"
    )
    parser.add_argument("--system", metavar="TEXT", help="instructions that come before the prompt")
    parser.add_argument("--max-tokens", metavar="N", type=int, help="longest answer, in tokens")
    parser.add_argument("--temperature", metavar="X", type=float, help="sampling temperature")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, help="longest wait")
    parser.add_argument(
        "--no-stream", action="store_true", help="print the answer when it is whole"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the whole answer as one JSON object"
    )
    _register_connection(parser)
    parser.set_defaults(execute=execute, parser=parser)


def _register_connection(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("connection")
    group.add_argument(
        "--url", metavar="URL", help=f"the gateway: ws, wss, http or https (default: {URL})"
    )
    keys = group.add_mutually_exclusive_group()
    keys.add_argument(
        "--api-key", metavar="KEY", help="client key; others on this machine may see it in `ps`"
    )
    keys.add_argument("--api-key-file", metavar="FILE", type=Path, help="file with the client key")
    group.add_argument(
        "--ca-file", metavar="FILE", type=Path, help="trust this CA instead of the system's"
    )
    group.add_argument("--proxy", metavar="URL", help="HTTP proxy to go through")


def execute(args: argparse.Namespace) -> int:
    """Make the call; 1 where there is no answer."""
    return asyncio.run(_call(args, _prompt(args.prompt)))


async def _call(args: argparse.Namespace, prompt: str) -> int:
    from mcp_gateway.api.chat import ChatResponse  # noqa: PLC0415

    url = args.url or os.environ.get("MCP_GATEWAY_URL") or URL
    try:
        async with _client(args, url) as client:
            request = await _request(args, client, prompt)
            if args.json or args.no_stream:
                response = await client.chat(request)
            else:
                response = await _streamed(client, request)
    except ConfigError:
        raise  # of the command line, not of the gateway
    except GatewayError as exc:
        response = ChatResponse(error=exc, provider=exc.provider)
    return _report(args, response)


def _client(args: argparse.Namespace, url: str) -> Client:
    from mcp_gateway.client import Client  # noqa: PLC0415

    try:
        tls = ssl.create_default_context(cafile=args.ca_file) if args.ca_file else None
    except OSError as exc:
        raise ConfigError(f"--ca-file {args.ca_file}: {exc.strerror or exc}") from exc
    try:
        # A person who waits wants to know at once that nobody is there.
        return Client(url, _api_key(args), reconnect_for=0.0, tls=tls, proxy=args.proxy)
    except ValueError as exc:
        raise ConfigError(f"--url: {exc}") from exc


def _api_key(args: argparse.Namespace) -> str:
    if args.api_key_file is None:
        return args.api_key or os.environ.get("MCP_GATEWAY_API_KEY", "")
    try:
        return str(args.api_key_file.read_text("utf-8").strip())
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"--api-key-file {args.api_key_file}: {exc}") from exc


def _prompt(given: str) -> str:
    if given != "-":
        return given
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as exc:
        raise ConfigError(f"the prompt on stdin is not UTF-8: {exc.reason}") from exc


async def _request(args: argparse.Namespace, client: Client, prompt: str) -> ChatRequest:
    from mcp_gateway.api.chat import ChatRequest  # noqa: PLC0415

    messages = [{"role": "user", "content": prompt}]
    if args.system is not None:
        messages.insert(0, {"role": "system", "content": args.system})
    return ChatRequest(
        model=args.model or await _some_model(client, args.provider),
        messages=messages,
        provider=args.provider,
        max_tokens=args.max_tokens,
        temperature=args.temperature,
        timeout=args.timeout,
    )


async def _some_model(client: Client, provider: str) -> str:
    """Return the first model of the provider, or of any.

    Raises:
        ConfigError: there is none to choose.
    """
    models = await client.models()
    found = [model for model in models if provider in {"", model.provider}]
    if not found:
        of = f" of {provider}" if provider else ""
        raise ConfigError(f"the gateway lists no model{of}: name one with --model")
    name = terminal.printable(found[0].id, sys.stderr)
    terminal.say(f"model: {name} (the first of {len(found)}; --model names another)")
    return found[0].id


async def _streamed(client: Client, request: ChatRequest) -> ChatResponse:
    """Print the answer as it comes."""
    stream = client.stream(request)
    ended = True
    try:
        async with stream:
            async for delta in stream:
                if delta.content:  # and not the reasoning: what is printed is the answer
                    sys.stdout.write(terminal.printable(delta.content, sys.stdout))
                    sys.stdout.flush()
                    ended = delta.content.endswith("\n")
    except GatewayError:
        pass  # the response has it, with what had come before
    finally:
        if not ended:
            terminal.out("")
    return stream.response


def _report(args: argparse.Namespace, response: ChatResponse) -> int:
    if args.json:
        terminal.out_json(_as_json(response))
    elif args.no_stream and response.error is None:
        terminal.out(terminal.printable(response.text, sys.stdout))
    if response.error is not None:
        _complain(response.error)
        return 1
    if not args.json:
        terminal.say(terminal.paint(_summary(response), "dim", sys.stderr))
    return 0


def _complain(error: GatewayError) -> None:
    where = f" ({terminal.printable(error.provider, sys.stderr)})" if error.provider else ""
    message = terminal.printable(str(error), sys.stderr)
    hint = _HINTS.get(error.reason, "")
    if error.provider and error.reason == "ConnectFailed":
        hint = _PROVIDER_AWAY
    if error.retry_after is not None:
        hint = f"try again in {error.retry_after:g} s" + (f"; {hint}" if hint else "")
    terminal.complain(f"{error.reason}{where}: {message}", hint)


def _summary(response: ChatResponse) -> str:
    usage, timings = response.usage, response.timings
    parts = [
        " ".join(filter(None, [response.provider, response.model])),
        f"{usage.prompt_tokens} + {usage.completion_tokens} tokens" if usage.total_tokens else "",
        f"first token {timings.first_token * 1000:.0f} ms" if timings.first_token else "",
        f"queue {timings.queue * 1000:.0f} ms" if timings.queue >= 0.001 else "",
        f"total {timings.total * 1000:.0f} ms" if timings.total else "",
        f"{response.attempts} attempts" if response.attempts > 1 else "",
        response.finish_reason if response.finish_reason not in {"", "stop"} else "",
        response.id,
    ]
    return terminal.printable(" · ".join(filter(None, parts)), sys.stderr)


def _as_json(response: ChatResponse) -> dict[str, Any]:
    usage, timings, error = response.usage, response.timings, response.error
    return {
        "id": response.id,
        "provider": response.provider,
        "model": response.model,
        "content": response.text,
        "reasoning": response.reasoning,
        "finish_reason": response.finish_reason,
        "tool_calls": list(response.tool_calls),
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
        },
        "timings": {
            "queue": timings.queue,
            "upstream": timings.upstream,
            "total": timings.total,
            "first_token": timings.first_token,
        },
        "attempts": response.attempts,
        "error": None if error is None else {"message": str(error), **error.data()},
    }
