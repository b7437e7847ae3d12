"""The command line: one parser, each command registering its own part of it."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from mcp_gateway import __version__
from mcp_gateway.cli import call, check, crd, keys, records, run, simulate, supabase_schema

Register = Callable[[Any], None]

DESCRIPTION = """\
One gateway in front of LLM providers, spoken to in MCP or in OpenAI's wire."""

EXAMPLES = """\
examples:
  mcp-gateway run manifests/samples/quickstart.yaml     start a gateway
  mcp-gateway call --provider kimi 'Hello!'             ask it something
  mcp-gateway check gateway.yaml --explain              what a document means
  mcp-gateway keys create alice                         let a client in

`mcp-gateway COMMAND --help` explains each command.
exit status: 0 done · 1 failed · 2 wrong usage or document · 130 interrupted"""


class Parser(argparse.ArgumentParser):
    """An argument parser that says what was probably meant.

    Abbreviated options are refused: a script that uses one breaks when another is added.
    """

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", Formatter)
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Write the message and a way on to stderr and exit with status 2."""
        self.exit(2, f"error: {_kinder(message)}\nhint:  {self.prog} --help\n")

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse a command line; exits with status 2 where it is wrong."""
        args, unknown = self.parse_known_args(argv)
        if unknown:
            parser: argparse.ArgumentParser = getattr(args, "parser", self)
            known = [option for action in options(parser) for option in action.option_strings]
            parser.error(f"there is no {unknown[0]!r}{_meant(unknown[0], known)}")
        return args


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps examples as they are written, and gives options room."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=96)


def parser() -> Parser:
    """Build the whole command line."""
    root = Parser(prog="mcp-gateway", description=DESCRIPTION, epilog=EXAMPLES)
    root.add_argument("--version", action="version", version=f"mcp-gateway {__version__}")
    commands = root.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", parser_class=Parser
    )
    for register in REGISTER:
        register(commands)
    return root


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The options and arguments a parser knows, without its commands."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            yield action


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands of a parser, in their order."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _kinder(message: str) -> str:
    """Replace argparse's list of all commands by the one that was probably meant."""
    found = re.fullmatch(r"argument (\S+): invalid choice: '(.*?)' \(choose from (.*)\)", message)
    if found is None:
        return message
    name, given, choices = found.groups()
    known = re.findall(r"[\w-]+", choices)
    return f"{name}: there is no {given!r}{_meant(given, known)}"


def _meant(given: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(given.partition("=")[0], known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; there are {', '.join(known)}" if known and not given.startswith("-") else ""


REGISTER: Sequence[Register] = [
    run.register,
    check.register,
    call.register,
    keys.register,
    records.register,
    simulate.register,
    crd.register,
    supabase_schema.register,
]
