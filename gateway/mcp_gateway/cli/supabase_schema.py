"""`mcp-gateway supabase-schema`: what a database needs before records can be shipped to it."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time
from typing import Any

from mcp_gateway.cli import terminal

DESCRIPTION = """\
Print the SQL that prepares Supabase, or any PostgreSQL behind PostgREST, for records: the table,
its indexes, row-level security, the insert function, a role that can call it and nothing else,
and a function that deletes old rows. Apply it as the owner of the database, as often as you like.

With --key, print a key of that role instead: it can add records, and neither read nor change
them. The project's JWT secret is taken from SUPABASE_JWT_SECRET or asked for; it is not kept."""

EXAMPLES = """\
examples:
  mcp-gateway supabase-schema | psql "$DATABASE_URL"
  mcp-gateway supabase-schema > supabase/migrations/20260101000000_interactions.sql
  mcp-gateway supabase-schema --key --lifetime 365d > secrets/supabase/key

On supabase.com without psql: paste the output into the SQL editor and run it."""


def register(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "supabase-schema",
        help="print the SQL that records need in a database",
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "--table",
        metavar="NAME",
        default="interactions",
        help="name of the table, as in spec.recording.supabase.table (default: interactions)",
    )
    parser.add_argument(
        "--key", action="store_true", help="print a key of the role that can only add records"
    )
    parser.add_argument(
        "--lifetime",
        metavar="DURATION",
        default="365d",
        help="how long the key is good for (default: 365d)",
    )
    parser.set_defaults(execute=execute, parser=parser)


def execute(args: argparse.Namespace) -> int:
    """Print the SQL, or the key; 2 where an option has no meaning."""
    from mcp_gateway.recording.schema import migration  # noqa: PLC0415

    try:
        terminal.out(_key(args.lifetime) if args.key else migration(args.table).rstrip())
    except ValueError as error:
        terminal.complain(str(error))
        return 2
    return 0


def _key(lifetime: str) -> str:
    from mcp_gateway.api.fields import parse_duration  # noqa: PLC0415
    from mcp_gateway.recording.key import writer_key  # noqa: PLC0415

    seconds = parse_duration(lifetime)
    secret = os.environ.get("SUPABASE_JWT_SECRET", "")
    if not secret:
        ask = sys.stdin.isatty()
        secret = getpass.getpass("JWT secret of the project: ") if ask else sys.stdin.readline()
    return writer_key(secret.strip(), issued=time.time(), lifetime=seconds)
