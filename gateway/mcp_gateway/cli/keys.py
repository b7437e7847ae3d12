"""`mcp-gateway keys create`: let a client in.

The gateway keeps only hashes, so the key is shown once, here, and can be shown by nobody later.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from mcp_gateway.cli import terminal
from mcp_gateway.errors import ConfigError

DESCRIPTION = """\
Make a key for a client of the gateway.

The key goes to stdout, once; give it to the client. The line with its hash goes into the Secret
(or the file) that `spec.auth.apiKeys` names; a gateway that runs takes it up by itself."""

EXAMPLES = """\
examples:
  mcp-gateway keys create alice
  mcp-gateway keys create ci --models "kimi-.*" --rate 60/1m --burst 10
  mcp-gateway keys create alice --append secrets/mcp-gateway-clients/api-keys
  KEY=$(mcp-gateway keys create alice --append keys.txt)

A cluster's Secret, with the line of every client under one key:
  kubectl create secret generic mcp-gateway-clients --from-file=api-keys=keys.txt
and in the document:
  auth: {apiKeys: {secretRef: {name: mcp-gateway-clients, key: api-keys}}}
On a laptop the same document reads SECRETS_DIR/mcp-gateway-clients/api-keys."""

_HOW_TO_APPLY = """\
Add this line to the Secret or file that spec.auth.apiKeys names:

  {line}

or run the command with --append FILE. The key itself is on stdout and is not kept anywhere."""


_ANOTHER = """\
{file} had a key for {name} already, and both are good now, with the same name in logs and limits.
When {name} uses the new one, take the former line out."""


def register(commands: Any) -> None:
    """Add the command to the command line."""
    group = commands.add_parser(
        "keys", help="make keys for clients of the gateway", description="Keys of clients."
    )
    group.set_defaults(parser=group)
    actions = group.add_subparsers(title="commands", metavar="COMMAND")
    parser = actions.add_parser(
        "create", help="make a key", description=DESCRIPTION, epilog=EXAMPLES
    )
    parser.add_argument("name", metavar="NAME", help="who it is for; in logs and records")
    parser.add_argument(
        "--models",
        metavar="RE2",
        help="models it may call, an expression that must match the whole name (default: all)",
    )
    parser.add_argument(
        "--rate",
        metavar="N/DURATION",
        help="requests it may make, such as 60/1m (default: the document's rateLimit)",
    )
    parser.add_argument(
        "--burst", metavar="N", type=int, help="requests it may make at once beyond that pace"
    )
    parser.add_argument(
        "--append", metavar="FILE", type=Path, help="add the line to this file (made with mode 600)"
    )
    parser.add_argument("--json", action="store_true", help="print key and line as one JSON object")
    parser.set_defaults(execute=execute, parser=parser)


def execute(args: argparse.Namespace) -> int:
    """Make a key and print it."""
    from mcp_gateway.config import client_keys  # noqa: PLC0415

    try:
        key, line = client_keys.create(args.name, models=args.models, rate=args.rate)
        if args.burst is not None:
            line = f"{line} burst={args.burst}"
        client_keys.parse(line)  # as the gateway will
    except ConfigError as exc:
        raise ConfigError(str(exc).removeprefix("client keys: line 1: ")) from exc
    others = _others(args.append, args.name) if args.append is not None else 0
    if args.append is not None:
        _append(args.append, line)
    if others:
        terminal.say(_ANOTHER.format(name=args.name, file=args.append))
    if args.json:
        terminal.out_json({"name": args.name, "key": key, "line": line})
        return 0
    if args.append is not None:
        terminal.say(f"Added to {args.append}. The key is not kept anywhere:")
    else:
        terminal.say(_HOW_TO_APPLY.format(line=line))
    terminal.out(key)
    return 0


def _others(path: Path, name: str) -> int:
    """How many keys a file has for a client of this name.

    Raises:
        ConfigError: the file is no list of keys; nothing is to be added to it.
        OSError: it cannot be read.
    """
    from mcp_gateway.config import client_keys  # noqa: PLC0415

    try:
        keys = client_keys.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 0
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is no list of keys: {exc}") from exc
    return sum(key.name == name for key in keys)


def _append(path: Path, line: str) -> None:
    """Add a line to a file, on a line of its own whatever the file ends with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                line = f"\n{line}"
        file.write(f"{line}\n".encode())
