"""What the kernel knows about a connection that the event loop has not read yet."""

from __future__ import annotations

import array
import asyncio
import fcntl
import select
import termios

_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)


def readable(transport: asyncio.BaseTransport) -> bool:
    """Whether a read from `transport`'s socket would return at once, with bytes or the end.

    One system call, about a microsecond. A transport without a socket, or one whose socket is
    closed, counts as readable: it is of no use.
    """
    return _polled(transport, select.POLLIN) != 0


def hung_up(transport: asyncio.BaseTransport) -> bool:
    """Whether the other end has closed, even where bytes it sent before lie unread.

    For a connection that is not read on purpose: its end would not be noticed. A transport
    without a socket, or one whose socket is closed, counts as hung up. Not every system tells
    an orderly close from silence; there only a broken connection counts.
    """
    return _polled(transport, _GONE) & _GONE != 0


def undelivered(transport: asyncio.BaseTransport) -> int:
    """Bytes in the kernel that the other end has not taken yet; 0 where the system cannot say."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return 0
    count = array.array("i", [0])
    try:
        # TIOCOUTQ of a terminal is SIOCOUTQ of a socket (Linux, tcp(7)).
        fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
    except (OSError, ValueError):
        return 0
    return count[0]


def _polled(transport: asyncio.BaseTransport, events: int) -> int:
    """What of `events` the socket has, beside errors; POLLNVAL where there is no open socket."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return select.POLLNVAL
    descriptor: int = sock.fileno()
    if descriptor < 0:
        return select.POLLNVAL
    # poll and not select: descriptors above 1023 exist.
    poll = select.poll()
    poll.register(descriptor, events)
    found = poll.poll(0)
    return found[0][1] if found else 0
