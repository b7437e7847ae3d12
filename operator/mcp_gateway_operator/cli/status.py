"""`mcp-gateway-operator status`: the gateways of a cluster, their pods and their providers."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mcp_gateway_operator.cli import connection, terminal

if TYPE_CHECKING:
    from mcp_gateway_operator.cli.picture import Picture

DESCRIPTION = """\
Show the MCPGateways of a namespace: whether they are ready, how many pods serve, which
configuration how many of them run, how many providers answer.

With names, all about each of these: conditions, pods, providers and what happened last; of each
provider its ceiling, the pods' shares of it, and the last ten reasons why it moved."""

EXAMPLES = """\
examples:
  mcp-gateway-operator status --all-namespaces
  mcp-gateway-operator status llm --namespace ai --watch
  mcp-gateway-operator status --json | jq -r '.gateways[] | select(.ready | not) | .name'
  mcp-gateway-operator status --operator          is there an operator that leads?

exit status: 0 shown · 1 failed, or nothing of that name, or with --operator: none leads"""

INTERVAL = 1.0
CLEAR = "\x1b[H\x1b[2J"


def register(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "status",
        help="show gateways, their pods, configurations and providers",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument("name", metavar="NAME", nargs="*", help="show all about these")
    connection.register(parser)
    parser.add_argument("-n", "--namespace", metavar="NS", help="default: yours")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="not one, but all")
    parser.add_argument(
        "-w", "--watch", action="store_true", help="show it again when it changes, until Ctrl-C"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument(
        "--operator", action="store_true", help="wait until an operator in this namespace leads"
    )
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="of --operator, in seconds"
    )
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Show it once, or again and again."""
    if args.operator:
        return connection.talk(args, lambda cluster: _operator(cluster, args))
    return connection.talk(args, lambda cluster: _status(cluster, args))


async def _status(cluster: Any, args: argparse.Namespace) -> int:
    from mcp_gateway_operator.cli import picture  # noqa: PLC0415

    namespace = None if args.all_namespaces else args.namespace or cluster.access.namespace
    shown = ""
    while True:
        found = await picture.take(cluster, namespace, args.name)
        text = _text(found, args, namespace)
        if text != shown:
            _show(text, again=bool(shown), as_json=args.json)
            shown = text
        if not args.watch:
            return 0
        await asyncio.sleep(INTERVAL)


def _text(found: list[Picture], args: argparse.Namespace, namespace: str | None) -> str:
    from mcp_gateway_operator.cli import picture  # noqa: PLC0415

    if args.json:
        return json.dumps({"gateways": [each.as_json() for each in found]}, ensure_ascii=False)
    now = datetime.now(UTC)
    if args.name:
        return "\n\n".join(picture.details(each, now) for each in found)
    if not found:
        return f"No MCPGateways in {f'namespace {namespace}' if namespace else 'any namespace'}."
    return picture.overview(found, now)


def _show(text: str, *, again: bool, as_json: bool) -> None:
    on_screen = sys.stdout.isatty() and not as_json
    if again and not as_json:
        text = f"{CLEAR}{text}" if on_screen else f"\n{text}"
    terminal.out(text)


async def _operator(cluster: Any, args: argparse.Namespace) -> int:
    """Return 0 once the Lease is seen to be renewed: a clock is not asked."""
    from mcp_gateway_operator.cli import picture  # noqa: PLC0415

    namespace = args.namespace or cluster.access.namespace
    clock: Callable[[], float] = asyncio.get_running_loop().time
    deadline = clock() + args.timeout
    first = before = await picture.leadership(cluster, namespace)
    while True:
        if before is not None and before.leader and before != first:
            terminal.out(f"{before.leader} leads, epoch {before.epoch}")
            return 0
        if clock() > deadline:
            who = "nobody" if before is None else before.leader or "nobody"
            raise terminal.Complaint(
                f"no operator renewed its Lease in namespace {namespace} within"
                f" {args.timeout:g} s; {who} had it last",
                f"kubectl get pods -n {namespace} -l app.kubernetes.io/name=mcp-gateway-operator",
            )
        await asyncio.sleep(1.0)
        before = await picture.leadership(cluster, namespace)
        first = first or before
