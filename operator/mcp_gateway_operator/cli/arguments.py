"""The command line: one parser, each command registering its own part of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from mcp_gateway import __version__
from mcp_gateway_operator.cli import diff, render, run, status

DESCRIPTION = """\
Runs MCPGateway resources in a Kubernetes cluster, and shows what it makes of them."""

EXAMPLES = """\
examples:
  mcp-gateway-operator status --watch          what runs, and how well
  mcp-gateway-operator render gateway.yaml     every object that would be made, without a cluster
  mcp-gateway-operator diff gateway.yaml       what applying it would change on this cluster

`mcp-gateway-operator COMMAND --help` explains each command.
exit status: 0 done · 1 failed · 2 wrong usage or document · 130 interrupted"""


class Parser(argparse.ArgumentParser):
    """An argument parser that refuses abbreviated options and says where help is."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", Formatter)
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Write the message and a way on to stderr and exit with status 2."""
        self.exit(2, f"error: {message}\nhint:  {self.prog} --help\n")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps examples as they are written, and gives options room."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=96)


def parser() -> Parser:
    """Build the whole command line."""
    root = Parser(prog="mcp-gateway-operator", description=DESCRIPTION, epilog=EXAMPLES)
    root.add_argument("--version", action="version", version=f"mcp-gateway-operator {__version__}")
    commands = root.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", parser_class=Parser
    )
    for register in REGISTER:
        register(commands)
    return root


REGISTER: Sequence[Callable[[Any], None]] = [
    run.register,
    status.register,
    render.register,
    diff.register,
]
