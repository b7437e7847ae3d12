"""The command line of the gateway, and the only room that reads the environment.

Each command is a module with `register(commands)`, which adds its options, and
`execute(args) -> int`, which returns the exit status. What a command needs of the gateway it
imports when it is executed, so that `--help` and `call` start fast.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from mcp_gateway.errors import ConfigError

OK, FAILED, WRONG = 0, 1, 2
INTERRUPTED = 128 + signal.SIGINT
NOBODY_READS = 128 + signal.SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    0 done, 1 failed, 2 wrong usage or wrong document, 130 interrupted, 141 when the reader of
    the output went away, as a shell reports it of any program.
    """
    try:
        status = _execute(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()
        return NOBODY_READS
    except OSError as exc:
        _drop_output()
        _say(f"error: {exc}")
        return FAILED
    return status


def _drop_output() -> None:
    """Let the interpreter's last flush of stdout succeed: what it holds has nowhere to go."""
    with suppress(OSError):  # raised where stdout is no file, as in a test
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr)


def _execute(argv: Sequence[str]) -> int:
    from mcp_gateway.cli import arguments, terminal  # noqa: PLC0415

    parser = arguments.parser()
    try:
        args = parser.parse(argv)
        if "execute" not in args:
            (getattr(args, "parser", parser)).print_help(sys.stderr)
            return WRONG
        status: int = args.execute(args)
    except SystemExit as exc:  # argparse: --help, --version, wrong usage
        return exc.code if isinstance(exc.code, int) else WRONG
    except ConfigError as exc:
        terminal.complain(str(exc))
        return WRONG
    return status
