"""Ports of programs that cannot tell which one the system chose for them."""

from __future__ import annotations

import socket
import time


def free_port() -> int:
    """Return a loopback port that was free a moment ago. For foreign programs only."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_listening(port: int, timeout: float = 10.0) -> None:
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
