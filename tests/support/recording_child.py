"""A process that records under load until it is killed. See `test_durability`.

Each id goes to a file, with the moment, right after the record was put (async) or was committed
(sync): that is the moment a gateway's client would have its answer. What a dead process wrote
into a file is still written.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path

from tests.support.recording import record, recorder_settings, shipping_recorder

from mcp_gateway.recording.recorder import Recorder
from mcp_gateway.recording.supabase import SupabaseDestination, SupabaseSettings


def _recorder(args: argparse.Namespace) -> Recorder:
    if not args.url:
        return Recorder(recorder_settings(), args.spool)
    settings = SupabaseSettings(url=args.url, key=args.key, timeout=5.0)
    return shipping_recorder(args.spool, lambda: SupabaseDestination(settings), batch=50)


async def _load(args: argparse.Namespace) -> None:
    recorder = _recorder(args)
    await recorder.start()
    answered = os.open(args.answered, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    print("recording", flush=True)
    number = args.first
    while True:
        for _ in range(10):
            if args.sync:
                await recorder.put_durably(record(number))
            else:
                assert recorder.put(record(number))
            os.write(answered, f"{number} {time.monotonic()}\n".encode())
            number += 1
        await asyncio.sleep(0.005)


def main() -> None:
    """Record numbered records from `--first` on, for ever."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--spool", type=Path, required=True)
    parser.add_argument("--answered", type=Path, required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--sync", action="store_true")
    parser.add_argument("--url", default="")
    parser.add_argument("--key", default="")
    asyncio.run(_load(parser.parse_args()))


if __name__ == "__main__":
    main()
