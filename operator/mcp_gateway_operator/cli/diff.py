"""`mcp-gateway-operator diff FILE`: what applying a file would change on this cluster."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from typing import TYPE_CHECKING, Any

from mcp_gateway_operator.cli import connection, document, terminal

if TYPE_CHECKING:
    from mcp_gateway_operator.cli.forecast import Change

DESCRIPTION = """\
Show what the operator would change on this cluster after `kubectl apply -f FILE`, object by object.

The API server works out each change with its own defaults, admission and merge rules, as dry runs:
nothing is written. It refuses what it would refuse. Secrets are named, not compared. Who runs this
needs the right to create and patch what the operator makes."""

EXAMPLES = """\
examples:
  mcp-gateway-operator diff gateway.yaml
  mcp-gateway-operator diff gateway.yaml --json | jq -r '.changes[] | .change + " " + .object'

exit status: 0 nothing would change · 1 something would · 2 failed"""

FAILED = 2


def register(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "diff",
        help="show what applying a file would change on this cluster",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="YAML or JSON, or - for stdin")
    connection.register(parser)
    parser.add_argument(
        "-n", "--namespace", metavar="NS", help="of MCPGateways that name none (default: yours)"
    )
    parser.add_argument(
        "--image", metavar="IMAGE", help="of gateways that name none (default: the operator's)"
    )
    parser.add_argument(
        "--operator-namespace", metavar="NS", help="where the operator runs (default: looked for)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print every change; 1 where there is one."""
    from mcp_gateway_operator.cli.forecast import Forecast  # noqa: PLC0415

    resources = document.resources(args.file)

    async def work(cluster: Any) -> list[Change]:
        forecast = Forecast(cluster, args.image, args.operator_namespace)
        found: list[Change] = []
        for resource in resources:
            found += await forecast.changes(resource, args.namespace or cluster.access.namespace)
        return found

    changes = connection.talk(args, work, failed=FAILED)
    if args.json:
        terminal.out(json.dumps({"changes": [_as_json(each) for each in changes]}))
    else:
        for change in changes:
            _print(change)
    return 1 if changes else 0


def _print(change: Change) -> None:
    terminal.out(terminal.paint(f"{change.object} would be {change.what}", "bold", sys.stdout))
    for line in _lines(change):
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        terminal.out(terminal.paint(line, style, sys.stdout) if style else line)
    if change.note:
        terminal.out(f"  {change.note}")


def _lines(change: Change) -> list[str]:
    before, after = change.before.splitlines(), change.after.splitlines()
    names = (f"now/{change.object}", f"then/{change.object}")
    return list(difflib.unified_diff(before, after, *names, lineterm=""))


def _as_json(change: Change) -> dict[str, Any]:
    return {
        "object": change.object,
        "change": change.what,
        "diff": "\n".join(_lines(change)),
        "note": change.note,
    }
