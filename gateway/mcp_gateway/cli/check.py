"""`mcp-gateway check FILE`: every problem of a document at once, and what it means."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_gateway.cli import terminal

if TYPE_CHECKING:
    from mcp_gateway.config.document import Loaded, Problem
    from mcp_gateway.config.explain import Setting

DESCRIPTION = """\
Read a document as `run` would, without starting anything, and list every problem with its
place, what is wrong and what is expected.

FILE is an MCPGateway document, or an mcp.yaml of the original form. `-` reads from stdin."""

EXAMPLES = """\
examples:
  mcp-gateway check gateway.yaml
  mcp-gateway check gateway.yaml --explain | grep pool
  mcp-gateway check gateway.yaml --json | jq -r '.problems[].path'

exit status: 0 no problems (warnings do not count) · 2 problems"""


def register(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "check",
        help="list every problem of a document, or what it means",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="the document, or - for stdin")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="print the whole effective configuration, and where each value comes from",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(execute=execute, parser=parser)


def execute(args: argparse.Namespace) -> int:
    """Check the document; 2 where it has a problem."""
    from mcp_gateway.config.document import InvalidDocument  # noqa: PLC0415

    loaded: Loaded | None = None
    try:
        loaded = read(args.file)
        problems = list(loaded.warnings)
    except InvalidDocument as exc:
        problems = list(exc.problems)
    settings = _explained(loaded) if args.explain and loaded is not None else []
    if args.json:
        terminal.out_json(_as_json(args.file, loaded is not None, problems, settings))
    else:
        _print(args.file, loaded is not None, problems, settings)
    return 0 if loaded is not None else 2


def read(file: str) -> Loaded:
    """Load a document from a path, or from stdin for `-`.

    Raises:
        InvalidDocument: with every problem of the document.
    """
    from mcp_gateway.config import document  # noqa: PLC0415

    if file == "-":
        return document.parse(sys.stdin.buffer.read(), source="stdin")
    return document.load(Path(file))


def problem_table(problems: Sequence[Problem], stream: Any) -> str:
    """Lay problems out for people, errors first."""
    rows = [
        (
            terminal.printable(problem.severity, stream),
            str(problem.line or ""),
            terminal.printable(problem.path or "(document)", stream),
            terminal.printable(problem.message, stream),
            terminal.printable(problem.expected or "", stream),
        )
        for problem in sorted(problems, key=lambda problem: problem.severity != "error")
    ]
    return terminal.table(("SEVERITY", "LINE", "PATH", "WHAT IS WRONG", "EXPECTED"), rows, stream)


def _explained(loaded: Loaded) -> Sequence[Setting]:
    from mcp_gateway.config.explain import explain  # noqa: PLC0415

    return explain(loaded)


def _print(file: str, good: bool, problems: Sequence[Problem], settings: Sequence[Setting]) -> None:
    if settings:
        rows = [(setting.path, _value(setting.value), setting.origin) for setting in settings]
        terminal.out(terminal.table(("SETTING", "VALUE", "FROM"), rows, sys.stdout))
        if problems:
            terminal.out("")
    if problems:
        terminal.out(problem_table(problems, sys.stdout))
    errors = sum(problem.severity == "error" for problem in problems)
    verdict = "is good" if good else f"has {_count(errors, 'problem')}"
    warnings = len(problems) - errors
    if warnings:
        verdict += f", with {_count(warnings, 'warning')}"
    style = "green" if good else "red"
    terminal.say(terminal.paint(f"{file} {verdict}", style, sys.stderr))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _as_json(
    file: str, good: bool, problems: Sequence[Problem], settings: Sequence[Setting]
) -> dict[str, Any]:
    report: dict[str, Any] = {
        "file": file,
        "ok": good,
        "problems": [
            {
                "severity": problem.severity,
                "path": problem.path,
                "line": problem.line,
                "message": problem.message,
                "expected": problem.expected,
            }
            for problem in problems
        ],
    }
    if settings:
        report["settings"] = [
            {"path": setting.path, "value": setting.value, "origin": setting.origin}
            for setting in settings
        ]
    return report
