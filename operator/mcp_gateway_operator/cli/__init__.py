"""The operator's command line, and its only room that reads the environment.

Each command is a module with `register(commands)`, which adds its options, and
`execute(args) -> int`, which returns the exit status. What a command needs is imported when it is
executed, so that `--help` and `render` start fast.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

OK, FAILED, WRONG = 0, 1, 2
INTERRUPTED = 128 + signal.SIGINT
NOBODY_READS = 128 + signal.SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 done, 1 failed (of `diff`: something would change), 2 wrong usage or wrong document (of
    `diff`: failed too), 130 interrupted, 141 when the reader of the output went away.
    """
    try:
        status = _execute(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter's last flush of stdout must succeed: what it holds has nowhere to go.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    return status


def _execute(argv: Sequence[str]) -> int:
    from mcp_gateway_operator.cli import arguments, terminal  # noqa: PLC0415

    parser = arguments.parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as exc:  # argparse: --help, --version, wrong usage
        return exc.code if isinstance(exc.code, int) else WRONG
    if "execute" not in args:
        parser.print_help(sys.stderr)
        return WRONG
    try:
        status: int = args.execute(args)
    except terminal.Complaint as exc:
        terminal.complain(str(exc), exc.hint)
        return exc.status
    return status
