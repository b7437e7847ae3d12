"""`mcp-gateway records`: what was recorded, straight from the spool, beside a running gateway."""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_gateway.cli import run, terminal

if TYPE_CHECKING:
    from mcp_gateway.recording.archive import Archive, Question

DESCRIPTION = """\
List, show and export recorded interactions, and look after the dead letters: records that the
database rejected, kept with the reason.

Reads the gateway's spool, a SQLite file, also while the gateway runs. Where records are shipped
to a database and `spool.keepShipped` is off, only those that still wait are here."""

EXAMPLES = """\
examples:
  mcp-gateway records list --since 1h --errors
  mcp-gateway records show 4bf92f35
  mcp-gateway records export --provider kimi > kimi.jsonl
  mcp-gateway records dead-letters
  mcp-gateway records replay --all

environment:
  MCP_GATEWAY_DATA_DIR   the data folder, where neither option is given"""

_WHERE = ("STARTED", "ID", "CLIENT", "CALLED", "ROUTE", "PROVIDER", "MODEL")
_COLUMNS = (*_WHERE, "STATUS", "MS", "TOKENS", "ERROR")


def register(commands: Any) -> None:
    """Add the command to the command line."""
    group = commands.add_parser(
        "records",
        help="list, show and export recorded interactions",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    group.set_defaults(parser=group)
    actions = group.add_subparsers(title="commands", metavar="COMMAND")

    parser = _action(actions, "list", "the newest records", _list)
    _add_filters(parser)
    parser.add_argument(
        "--limit", metavar="N", type=_positive, default=20, help="how many (default: 20)"
    )
    _add_json(parser)

    parser = _action(actions, "show", "one record, whole", _show)
    parser.add_argument("id", metavar="ID", help="its id, or the beginning of it")
    _add_json(parser)

    parser = _action(actions, "export", "records as JSON lines, the oldest first", _export)
    _add_filters(parser)
    parser.add_argument("--output", metavar="FILE", type=Path, help="into a file, not to stdout")

    parser = _action(actions, "dead-letters", "records that the database rejected", _dead_letters)
    _add_json(parser)

    parser = _action(actions, "replay", "ship dead letters once more", _replay)
    _add_numbers(parser)

    parser = _action(actions, "discard", "delete dead letters for good", _discard)
    _add_numbers(parser)


def _action(
    actions: Any, name: str, what: str, do: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--spool", metavar="FILE", type=Path, help="the spool's file")
    place.add_argument(
        "--data-dir",
        metavar="DIR",
        type=Path,
        help="the gateway's data folder: the spool is spool.db",
    )
    parser.set_defaults(execute=_guarded(do), parser=parser)
    return parser


def _guarded(do: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The same command, with the file system's refusals told as sentences."""

    def execute(args: argparse.Namespace) -> int:
        try:
            return do(args)
        except BrokenPipeError:
            raise
        except (OSError, sqlite3.Error) as error:
            terminal.complain(str(error))
            return 1

    return execute


def _add_filters(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("only")
    group.add_argument(
        "--since", metavar="WHEN", type=_moment, help="from then on: 1h (ago), 2026-01-31T12:00Z"
    )
    group.add_argument("--until", metavar="WHEN", type=_moment, help="before then")
    for name in ("provider", "model", "client", "route"):
        group.add_argument(f"--{name}", metavar="NAME", help=f"of this {name}")
    group.add_argument(
        "--errors",
        metavar="CLASS",
        nargs="?",
        const=True,
        help="failures; with a name such as UpstreamTimeout, those of that class",
    )
    group.add_argument(
        "--unshipped", action="store_true", help="what waits to be shipped to the database"
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_numbers(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "numbers", metavar="NUMBER", nargs="*", type=int, default=[],
        help="numbers of dead letters, as `dead-letters` lists them",
    )  # fmt: skip
    which.add_argument("--all", action="store_true", help="all of them")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _moment(text: str) -> float:
    """Read `1h` as an hour ago, else a date, as epoch seconds."""
    from mcp_gateway.api.fields import parse_duration  # noqa: PLC0415

    try:
        return time.time() - parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a duration such as 1h, or a date such as 2026-01-31T12:00Z, not {text!r}"
        ) from None
    return (moment if moment.tzinfo else moment.astimezone()).timestamp()


def _archive(args: argparse.Namespace) -> Archive:
    from mcp_gateway.recording.archive import Archive  # noqa: PLC0415
    from mcp_gateway.recording.setup import SPOOL_NAME  # noqa: PLC0415

    return Archive(args.spool or (args.data_dir or run.data_dir()) / SPOOL_NAME)


def _question(args: argparse.Namespace) -> Question:
    from mcp_gateway.recording.archive import Question  # noqa: PLC0415

    return Question(
        since=args.since,
        until=args.until,
        provider=args.provider,
        model=args.model,
        client=args.client,
        route=args.route,
        error=args.errors,
        unshipped=args.unshipped,
    )


def _list(args: argparse.Namespace) -> int:
    with _archive(args) as archive:
        found = archive.latest(_question(args), args.limit)
        counts = archive.counts()
    if args.json:
        terminal.out_json({"records": found, "counts": counts})
        return 0
    if found:
        terminal.out(terminal.table(_COLUMNS, map(_row, found), sys.stdout))
    dead = counts["dead_letters"]
    terminal.say(
        f"{len(found)} of {counts['records']} records in {archive.path}"
        + (f" · {dead} dead letters: mcp-gateway records dead-letters" if dead else "")
    )
    return 0


def _row(record: Mapping[str, Any]) -> list[str]:
    tokens = record.get("prompt_tokens", 0), record.get("completion_tokens", 0)
    cells = (
        _date(record["started"]),
        record["id"][:8],
        record.get("client", ""),
        record.get("tool") or record.get("method", ""),
        record.get("route", ""),
        record.get("provider", ""),
        record.get("model") or record.get("asked_model", ""),
        record.get("status", ""),
        f"{record.get('total_ms', 0.0):.0f}",
        f"{tokens[0]}+{tokens[1]}" if any(tokens) else "",
        record.get("error", ""),
    )
    return [terminal.printable(str(cell), sys.stdout) for cell in cells]


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _show(args: argparse.Namespace) -> int:
    with _archive(args) as archive:
        found = archive.find(args.id)
    exact = [record for record in found if record["id"] == args.id]
    if not exact and len(found) != 1:
        ids = ", ".join(record["id"] for record in found)
        terminal.complain(
            f"several records begin with {args.id}: {ids}" if found
            else f"there is no record {args.id} in {archive.path}",
            "" if found else "a shipped record is in the database, unless spool.keepShipped is on",
        )  # fmt: skip
        return 1
    record = (exact or found)[0]
    if args.json:
        terminal.out_json(record)
        return 0
    bodies = {name: record.pop(name) for name in ("request", "response") if name in record}
    facts = {**record, "started": _date(record["started"])}
    if "tries" in facts:
        facts["tries"] = _pretty(facts["tries"])
    terminal.out(terminal.printable(terminal.fields(facts), sys.stdout))
    for name, body in bodies.items():
        terminal.out(f"\n{name}:\n{terminal.printable(_pretty(body), sys.stdout)}")
    return 0


def _pretty(body: object) -> str:
    import msgspec  # noqa: PLC0415

    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()


def _export(args: argparse.Namespace) -> int:
    with _archive(args) as archive:
        lines = archive.lines(_question(args))
        if args.output is None:
            _write(lines, sys.stdout.write)
            return 0
        # Made for nobody else: who opens it before its mode is changed reads all that follows.
        descriptor = os.open(args.output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            count = _write(lines, file.write)
    terminal.say(f"{count} records in {args.output}")
    return 0


def _write(lines: Iterable[str], write: Callable[[str], object]) -> int:
    count = 0
    for count, line in enumerate(lines, 1):  # noqa: B007 - used after the loop
        write(line + "\n")
    return count


def _dead_letters(args: argparse.Namespace) -> int:
    with _archive(args) as archive:
        found = archive.dead_letters()
    if args.json:
        letters = [
            {"number": dead.seq, "died": dead.died, "reason": dead.reason, "record": dead.record}
            for dead in found
        ]
        terminal.out_json(letters)
        return 0
    if not found:
        terminal.say("there are no dead letters")
        return 0
    rows = [
        [
            str(dead.seq),
            dead.record["id"][:8],
            _date(dead.died),
            terminal.printable(dead.reason, sys.stdout),
        ]
        for dead in found
    ]
    terminal.out(terminal.table(("NUMBER", "ID", "SET ASIDE", "REASON"), rows, sys.stdout))
    return 0


def _replay(args: argparse.Namespace) -> int:
    with _archive(args) as archive:
        count = archive.replay(None if args.all else args.numbers)
    terminal.say(f"{count} dead letters wait to be shipped again")
    return 0 if count or args.all else 1


def _discard(args: argparse.Namespace) -> int:
    with _archive(args) as archive:
        count = archive.discard(None if args.all else args.numbers)
    terminal.say(f"{count} dead letters deleted")
    return 0 if count or args.all else 1
