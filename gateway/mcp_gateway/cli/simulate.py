"""`mcp-gateway simulate`: a provider on its own port, for laptops, tests and load."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import signal
from typing import TYPE_CHECKING, Any

from mcp_gateway.cli import terminal
from mcp_gateway.errors import ConfigError

if TYPE_CHECKING:
    from mcp_gateway.api.simulator import SimulatorSettings

DESCRIPTION = """\
Run a stand-in for a provider: it speaks the provider's wire, with its error codes and headers,
streams tokens, and enforces an account's limits per API key as the provider does. Any key is
accepted. The same --seed gives the same answers and the same failures."""

EXAMPLES = """\
examples:
  mcp-gateway simulate --wire kimi --port 9101 --tier kimi-tier1
  mcp-gateway simulate --wire glm --concurrency 5 --failures overload=0.05,reset=0.01
  mcp-gateway simulate --answer-tokens 500 --first-token 800ms --per-token 20ms

To use it, name it as a provider's endpoint:
  providers:
  - {name: kimi, type: kimi, endpoints: [{url: "http://127.0.0.1:9101/v1"}], apiKey: {env: ANY}}"""

_OPTIONS = {
    "wire": "--wire",
    "seed": "--seed",
    "models": "--models",
    "concurrency": "--concurrency",
    "requestsPerMinute": "--rpm",
    "tokensPerMinute": "--tpm",
    "failures": "--failures",
    "failures.kind": "--failures",
    "failures.ratio": "--failures",
    "latency.firstToken": "--first-token",
    "latency.perToken": "--per-token",
    "latency.refusal": "--refusal",
    "answerTokens.median": "--answer-tokens",
}


def register(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "simulate",
        help="run a simulated provider",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "--wire", choices=("kimi", "glm"), default="kimi", help="whose wire (default: kimi)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=int, default=0, help="port (default: one that is free, which is printed)"
    )
    parser.add_argument("--models", metavar="A,B", help="models it has (default: the wire's)")
    parser.add_argument("--seed", type=int, help="start of its random numbers (default: 0)")
    parser.add_argument("--json", action="store_true", help="print the address as JSON when ready")
    _register_limits(parser.add_argument_group("limits of one key (default: none)"))
    _register_behaviour(parser.add_argument_group("behaviour"))
    parser.set_defaults(execute=execute, parser=parser)


def _register_limits(group: Any) -> None:
    group.add_argument("--concurrency", metavar="N", type=int, help="requests in flight")
    group.add_argument("--rpm", metavar="N", type=int, help="requests per minute")
    group.add_argument("--tpm", metavar="N", type=int, help="tokens per minute")
    group.add_argument(
        "--tier", metavar="NAME", help="the limits of a published tier, such as kimi-tier2"
    )


def _register_behaviour(group: Any) -> None:
    group.add_argument(
        "--failures", metavar="KIND=RATIO,…", help="failures to mix in, such as overload=0.05"
    )
    group.add_argument(
        "--first-token", metavar="DURATION", help="median time before the first token"
    )
    group.add_argument("--per-token", metavar="DURATION", help="median time of each token")
    group.add_argument("--refusal", metavar="DURATION", help="median time before an error answer")
    group.add_argument("--answer-tokens", metavar="N", type=int, help="median length of an answer")


def execute(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    import uvloop  # noqa: PLC0415

    uvloop.run(_serve(args, settings(args)))
    return 0


def settings(args: argparse.Namespace) -> SimulatorSettings:
    """Make the simulator's settings of the options.

    Raises:
        ConfigError: an option's value is not of its form.
    """
    from pydantic import ValidationError  # noqa: PLC0415

    from mcp_gateway.api.simulator import SimulatorSettings  # noqa: PLC0415

    given = {
        "wire": args.wire,
        "seed": args.seed,
        "models": args.models.split(",") if args.models else None,
        **_limits(args),
        "failures": _failures(args.failures) if args.failures else None,
        "latency": _given(
            firstToken=_given(median=args.first_token),
            perToken=_given(median=args.per_token),
            refusal=_given(median=args.refusal),
        ),
        "answerTokens": _given(median=args.answer_tokens),
    }
    try:
        return SimulatorSettings.model_validate_json(_json(_given(**given)))
    except ValidationError as exc:
        problems = [_problem(error["loc"], error["msg"]) for error in exc.errors()]
        raise ConfigError("; ".join(problems)) from exc


def _problem(location: tuple[int | str, ...], message: str) -> str:
    """Name the option that a place in the settings comes from."""
    place = ".".join(part for part in location[:2] if isinstance(part, str))
    return f"{_OPTIONS.get(place, place or '--failures')}: {message.removeprefix('Value error, ')}"


def _limits(args: argparse.Namespace) -> dict[str, int | None]:
    """The limits given one by one, over those of the tier."""
    from mcp_gateway.api.limits import AccountLimits  # noqa: PLC0415
    from mcp_gateway.api.presets import TIERS  # noqa: PLC0415

    if args.tier and args.tier not in TIERS:
        raise ConfigError(f"--tier: there is no {args.tier!r}; there are {', '.join(TIERS)}")
    tier = TIERS[args.tier] if args.tier else AccountLimits()
    return {
        "concurrency": tier.concurrency if args.concurrency is None else args.concurrency,
        "requestsPerMinute": tier.requests_per_minute if args.rpm is None else args.rpm,
        "tokensPerMinute": tier.tokens_per_minute if args.tpm is None else args.tpm,
        "tokensPerDay": tier.tokens_per_day,
    }


def _failures(text: str) -> list[dict[str, object]]:
    failures: list[dict[str, object]] = []
    for part in text.split(","):
        kind, _, ratio = part.strip().partition("=")
        try:
            failures.append({"kind": kind, "ratio": float(ratio)})
        except ValueError as exc:
            raise ConfigError(f"--failures: expected KIND=RATIO, got {part!r}") from exc
    return failures


def _given(**options: Any) -> dict[str, Any]:
    """Leave out what was not given, so that the schema's defaults hold."""
    return {name: value for name, value in options.items() if value not in (None, {})}


def _json(value: object) -> str:
    import json  # noqa: PLC0415

    return json.dumps(value)


async def _serve(args: argparse.Namespace, chosen: SimulatorSettings) -> None:
    from mcp_gateway.simulator import Simulator  # noqa: PLC0415

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    simulator = Simulator(chosen)
    url = await simulator.start(args.host, args.port)
    try:
        if args.json:
            terminal.out_json({"url": url, "wire": args.wire})
        else:
            terminal.say(f"A simulated {args.wire} account on {url}. Ctrl-C ends it. Try:\n")
            terminal.say(f"  {_curl(url, simulator.settings.callable_models[0])}\n")
        await stop.wait()
    finally:
        await simulator.aclose()


def _curl(url: str, model: str) -> str:
    body = _json({"model": model, "messages": [{"role": "user", "content": "Hello!"}]})
    words = ["curl", f"{url}/chat/completions", "-H", "Authorization: Bearer any", "-d", body]
    return shlex.join(words)
