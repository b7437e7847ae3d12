"""What the kernel knows about a connection that the event loop has not read yet."""

from __future__ import annotations

import asyncio
import select


def readable(transport: asyncio.BaseTransport) -> bool:
    """Whether a read from `transport`'s socket would return at once, with bytes or the end.

    One system call, about a microsecond. A transport without a socket, or one whose socket is
    closed, counts as readable: it is of no use.
    """
    sock = transport.get_extra_info("socket")
    if sock is None:
        return True
    descriptor: int = sock.fileno()
    if descriptor < 0:
        return True
    # poll and not select: descriptors above 1023 exist.
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
