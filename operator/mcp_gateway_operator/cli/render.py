"""`mcp-gateway-operator render FILE`: every object the operator would make, without a cluster."""

from __future__ import annotations

import argparse
import json
from typing import Any

import yaml

from mcp_gateway_operator.cli import document, terminal

DESCRIPTION = """\
Print every object that the operator would make for the MCPGateways of a file: for review, and to
see what a change of the file changes. Nothing is asked of a cluster.

Secrets are printed without what is in them, owner references are left out, and generation 1 stands
for the number of the configuration: only a cluster knows these. FILE may hold other kinds too; `-`
reads from stdin."""

EXAMPLES = """\
examples:
  mcp-gateway-operator render gateway.yaml
  mcp-gateway-operator render gateway.yaml --json | jq -r '.items[] | .kind + "/" + .metadata.name'
  diff <(git show HEAD:gateway.yaml | mcp-gateway-operator render -) \\
       <(mcp-gateway-operator render gateway.yaml)

exit status: 0 printed · 2 the file is not right"""


def register(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "render",
        help="print every object that would be made, without a cluster",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="YAML or JSON, or - for stdin")
    parser.add_argument(
        "-n", "--namespace", default="default", metavar="NS",
        help="of MCPGateways that name none (default: default)",
    )  # fmt: skip
    parser.add_argument("--image", metavar="IMAGE", help="of gateways that name none")
    parser.add_argument(
        "--operator-namespace", metavar="NS", help="where the operator runs, for NetworkPolicies"
    )
    parser.add_argument(
        "--without-optional",
        action="store_true",
        help="leave out what only some clusters have an API for (HTTPRoute, PodMonitor)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON List")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print the objects of every MCPGateway in the file."""
    from mcp_gateway_operator.render import Context, objects, secrets  # noqa: PLC0415

    default = Context()
    context = Context(
        image=args.image or default.image,
        operator_namespace=args.operator_namespace or default.operator_namespace,
        apis=frozenset() if args.without_optional else default.apis,
    )
    rendered: list[dict[str, Any]] = []
    for resource in document.resources(args.file):
        gateway = document.gateway(resource, args.namespace)
        rendered += [*secrets(gateway), *objects(gateway, context)]
    if args.json:
        whole = {"apiVersion": "v1", "kind": "List", "items": rendered}
        terminal.out(json.dumps(whole, ensure_ascii=False))
    else:
        terminal.out("---\n".join(text(each) for each in rendered).rstrip())
    return 0


def text(rendered: dict[str, Any]) -> str:
    """Write one object as people read it."""
    written: str = yaml.dump(
        rendered, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True
    )
    return written


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such, and every part of the tree out where it is."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never write an anchor."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
