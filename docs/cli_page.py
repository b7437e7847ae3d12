"""The reference page of the command line, made from the command line itself.

It is laid out here and not by argparse, whose help differs between versions of Python.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from mcp_gateway.cli import arguments

_HEAD = """\
# The command line

Made by `make generate` from the command line itself; change it there. Every command has the same
words under `--help`.

Results go to stdout, everything said to people to stderr, so a pipe gets results only. Colour is
used on terminals, unless `NO_COLOR` is set or `TERM` is `dumb`. `--json` prints one JSON object
for a program.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage, or a document with problems |
| 130 | interrupted by Ctrl-C |
| 141 | the reader of the output went away |
"""


def cli_page() -> str:
    """Return the page, in Markdown."""
    return "\n".join([_HEAD, *parts(arguments.parser(), depth=1)])


def parts(parser: argparse.ArgumentParser, depth: int) -> Iterator[str]:
    """What there is to say of a parser, then of its commands, in the order of the help."""
    if depth > 1:
        yield f"{'#' * depth} {parser.prog}\n"
        yield from _command(parser)
    for child in arguments.commands(parser).values():
        yield from parts(child, depth + 1)


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"{parser.description}\n"
    if not arguments.commands(parser):
        yield f"```text\n{_usage(parser)}\n```\n"
        yield from _tables(parser)
    if parser.epilog:
        yield f"```text\n{parser.epilog}\n```\n"


def _tables(parser: argparse.ArgumentParser) -> Iterator[str]:
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.dest != "help"]
        if actions:
            heading = group.title or ""
            yield f"| {_HEADINGS.get(heading, heading)} | |\n|---|---|"
            yield "\n".join(_row(action) for action in actions) + "\n"


_HEADINGS = {"positional arguments": "arguments"}


def _usage(parser: argparse.ArgumentParser) -> str:
    options = [action for action in arguments.options(parser) if action.dest != "help"]
    words = [parser.prog]
    if any(action.option_strings for action in options):
        words.append("[OPTIONS]")
    for action in options:
        if not action.option_strings:
            name = _name(action)
            words.append(f"[{name} ...]" if action.nargs == "*" else name)
    return " ".join(words)


def _row(action: argparse.Action) -> str:
    term = _name(action)
    if action.option_strings:
        value = "" if action.nargs == 0 else f" {_name(action)}"
        if action.nargs == "?":
            value = f" [{_name(action)}]"
        term = ", ".join(f"{option}{value}" for option in action.option_strings)
    text = ((action.help or "") % vars(action)).replace("|", "\\|")
    return f"| `{term}` | {text} |"


def _name(action: argparse.Action) -> str:
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper().replace("_", "-"))
