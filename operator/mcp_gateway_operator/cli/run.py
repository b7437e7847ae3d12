"""`mcp-gateway-operator run`: the operator, until a signal ends it."""

from __future__ import annotations

import argparse
import os
from typing import Any

from mcp_gateway import __version__
from mcp_gateway_operator.cli import connection

DESCRIPTION = """\
Run the operator: keep what MCPGateway resources ask for running.

Of several replicas one leads; another takes over within 15 seconds of its death. Without
--namespace it works in the whole cluster."""

EXAMPLES = """\
examples:
  mcp-gateway-operator run
  mcp-gateway-operator run --namespace ai --namespace staging

signals:
  SIGTERM, SIGINT   hand the Lease over and end

exit status: 0 ended as asked · 1 failed · 2 wrong usage"""

BIND = "MCP_GATEWAY_BIND"
LEVELS = ("debug", "info", "warning", "error")


def register(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "run", help="run the operator", description=DESCRIPTION, epilog=EXAMPLES
    )
    parser.add_argument(
        "--namespace", "-n", metavar="NAME", action="append", default=[],
        help="work in this namespace only; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--operator-namespace", metavar="NAME", default="",
        help="namespace of the Lease and the authority (default: the pod's, or the context's)",
    )  # fmt: skip
    parser.add_argument(
        "--gateway-image", metavar="IMAGE", default=f"mcp-gateway:{__version__}",
        help="container image of gateways that name none (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        # The kubelet probes from outside the pod. The variable is for pods that share a network.
        "--host", default=os.environ.get(BIND) or "0.0.0.0",  # noqa: S104
        metavar="ADDRESS", help="of the port for probes and metrics (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=int, default=8080, metavar="N",
        help="port for probes and metrics (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--workers", type=_positive, default=8, metavar="N",
        help="gateways looked at at the same time (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--api-rate", type=_positive, default=200, metavar="N",
        help="most requests a second to the API server (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--resync", type=_positive, default=600, metavar="SECONDS",
        help="time between two looks at everything (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--tuning-interval", type=_interval, default=1.0, metavar="SECONDS",
        help="time between two decisions of the tuner, and between two reports of a busy pod;"
        " its other times follow in proportion (default: %(default)g, at least 0.05)",
    )  # fmt: skip
    parser.add_argument("--log-level", choices=LEVELS, default="info")
    connection.register(parser)
    parser.set_defaults(execute=execute, parser=parser)


def execute(args: argparse.Namespace) -> int:
    """Run until a signal."""
    import asyncio  # noqa: PLC0415

    from mcp_gateway_operator import log  # noqa: PLC0415
    from mcp_gateway_operator.app import Operator, Settings  # noqa: PLC0415
    from mcp_gateway_operator.fleet import PodFleet  # noqa: PLC0415
    from mcp_gateway_operator.metrics import Metrics  # noqa: PLC0415
    from mcp_gateway_operator.tuning import Pace  # noqa: PLC0415

    log.configure(args.log_level)
    access = connection.find_access(args)
    settings = Settings(
        namespaces=tuple(dict.fromkeys(args.namespace)),
        namespace=args.operator_namespace or access.namespace,
        image=args.gateway_image,
        host=args.host,
        port=args.port,
        workers=args.workers,
        resync=float(args.resync),
        rate=float(args.api_rate),
        burst=2 * args.api_rate,
    )

    async def run() -> None:
        metrics = Metrics()
        fleet = PodFleet(metrics=metrics, pace=Pace.of(args.tuning_interval))
        await Operator(settings, access, fleet, metrics).run()

    asyncio.run(run())
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, not {text!r}")
    return int(text)


def _interval(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.05 <= number <= 60.0:
        raise argparse.ArgumentTypeError(f"expected seconds, 0.05 to 60, not {text!r}")
    return number
