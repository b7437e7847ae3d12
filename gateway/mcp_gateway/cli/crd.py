"""`mcp-gateway crd`: the CustomResourceDefinition, made from the schema."""

from __future__ import annotations

import argparse
from typing import Any

from mcp_gateway.cli import terminal

DESCRIPTION = """\
Print the CustomResourceDefinition of MCPGateway resources, as YAML.

It is made from the same schema that `run` and `check` read, so a document that passes here
passes in the cluster."""

EXAMPLES = """\
examples:
  mcp-gateway crd | kubectl apply --server-side -f -
  mcp-gateway crd > mcpgateways.yaml"""


def register(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "crd",
        help="print the CustomResourceDefinition for a cluster",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of YAML")
    parser.set_defaults(execute=execute, parser=parser)


def execute(args: argparse.Namespace) -> int:
    """Print the definition."""
    from mcp_gateway.api.crd import custom_resource_definition, to_yaml  # noqa: PLC0415

    if args.json:
        terminal.out_json(custom_resource_definition())
    else:
        terminal.out(to_yaml().rstrip())
    return 0
