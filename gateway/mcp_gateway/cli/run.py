"""`mcp-gateway run FILE`: the gateway, until a signal ends it."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp_gateway.app.steering import Control

DESCRIPTION = """\
Run a gateway as a document describes it.

FILE is an MCPGateway document, or an mcp.yaml of the original form. Where it asks clients for
keys and names none, a key is made for this run and printed once. A changed FILE, a changed
secret and SIGHUP are taken up without dropping a connection; a document with a mistake is
refused as a whole, and the last good one stays."""

EXAMPLES = """\
examples:
  mcp-gateway run manifests/samples/quickstart.yaml
  mcp-gateway run gateway.yaml --secrets-dir ./secrets --data-dir /var/lib/mcp-gateway
  mcp-gateway run gateway.yaml --port 0 --admin-port 0 --json | jq -r .mcp_websocket

signals:
  SIGTERM, SIGINT   take no more requests, end those in flight within shutdownGrace, exit 0;
                    once more: end at once, exit 130
  SIGHUP            read FILE again; or, where the terminal was closed, as SIGTERM

environment:
  MCP_GATEWAY_SECRETS_DIR, MCP_GATEWAY_DATA_DIR   where the options are not given
  MCP_GATEWAY_BIND   address to listen on where the document says 0.0.0.0
  POD_NAME           with --control-dir: what the operator calls this process
  POD_UID            with --control-dir: what no other process of that name has

exit status: 0 ended as asked · 1 failed · 2 the document is wrong · 130 ended at once"""


def register(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "run", help="run a gateway", description=DESCRIPTION, epilog=EXAMPLES
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the document")
    parser.add_argument(
        "--secrets-dir",
        metavar="DIR",
        type=Path,
        help="where secretRef {name, key} is the file DIR/NAME/KEY",
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        type=Path,
        help="where records are kept (default: ~/.local/state/mcp-gateway)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the addresses on stdout as JSON when ready"
    )
    group = parser.add_argument_group("in place of the document's")
    group.add_argument("--host", help="spec.server.host")
    group.add_argument("--port", type=int, metavar="N", help="spec.server.port; 0: a free one")
    group.add_argument(
        "--admin-port", type=int, metavar="N", help="spec.server.adminPort; 0: a free one"
    )
    group = parser.add_argument_group("under an operator")
    group.add_argument(
        "--control-dir",
        metavar="DIR",
        type=Path,
        help="listen for the operator and for other pods over TLS, with DIR/tls.crt, DIR/tls.key, "
        "DIR/token and DIR/ca.crt",
    )
    group.add_argument(
        "--control-port", type=int, metavar="N", help="where; default 9443, 0: a free one"
    )
    group.add_argument(
        "--peer-port",
        metavar="N",
        type=int,
        help="where other pods of the gateway reach this one; default 9082, 0: a free one",
    )
    group.add_argument(
        "--document-from-operator",
        action="store_true",
        help="read FILE at the start only: the operator sends every later document",
    )
    parser.set_defaults(execute=execute, parser=parser)


def execute(args: argparse.Namespace) -> int:
    """Run until a signal; 2 where the document is wrong, before anything is started."""
    from mcp_gateway.cli.service import Place, run_service  # noqa: PLC0415

    if args.document_from_operator and args.control_dir is None:
        args.parser.error("--document-from-operator needs --control-dir")
    given = {"host": args.host, "port": args.port, "admin_port": args.admin_port}
    place = Place(
        file=args.file,
        secrets_dir=args.secrets_dir or _folder("MCP_GATEWAY_SECRETS_DIR"),
        data_dir=args.data_dir or data_dir(),
        server={name: value for name, value in given.items() if value is not None},
        bind=os.environ.get("MCP_GATEWAY_BIND", ""),
        control=_control(args),
    )
    return run_service(place, os.environ, as_json=args.json)


def _control(args: argparse.Namespace) -> Control | None:
    """Return how the operator reaches this process; None where there is no operator."""
    from mcp_gateway.api.control import PORT  # noqa: PLC0415
    from mcp_gateway.api.server import PEER_PORT  # noqa: PLC0415
    from mcp_gateway.app.steering import Control  # noqa: PLC0415

    if args.control_dir is None:
        return None
    return Control(
        folder=args.control_dir,
        host=os.environ.get("MCP_GATEWAY_BIND") or "0.0.0.0",  # noqa: S104 - of a pod
        port=PORT if args.control_port is None else args.control_port,
        peer_port=PEER_PORT if args.peer_port is None else args.peer_port,
        pod=os.environ.get("POD_NAME", ""),
        uid=os.environ.get("POD_UID", ""),
        owns_document=args.document_from_operator,
    )


def data_dir() -> Path:
    """Return where a gateway keeps its files unless it is told otherwise."""
    state = _folder("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return _folder("MCP_GATEWAY_DATA_DIR") or state / "mcp-gateway"


def _folder(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None
