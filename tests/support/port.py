"""Ports of programs that cannot tell which one the system chose for them."""

from __future__ import annotations

import random
import socket
import time

FIRST, LAST = 20_000, 32_000
"""Below the ports that systems give to connections and to who asks for any port: between the
choice and its use nobody is given this one by chance."""


def free_port() -> int:
    """Return a loopback port that was free a moment ago. For foreign programs only."""
    while True:
        port = random.randint(FIRST, LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def wait_until_listening(port: int, timeout: float = 60.0) -> None:
    """Return when something accepts connections on the loopback port.

    Raises:
        TimeoutError: nothing did within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1.0):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens on port {port}") from None
            time.sleep(0.02)
