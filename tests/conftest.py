"""Fixtures and options that tests of several kinds share."""

from __future__ import annotations

import os
import signal

import pytest

pytest_plugins = ["tests.support.kubernetes"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option without which nothing needs root."""
    parser.addoption(
        "--e2e",
        action="store_true",
        help="also run the tests that need a full node (root), or the cluster of TEST_KUBECONFIG",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker that goes with the option, and let tests be interrupted."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell without a terminal makes its background jobs deaf to Ctrl-C, and with them
        # every program that they start, also those whose interruption is tested.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Whatever way out this machine needs, what the tests start is on the machine itself.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1,localhost"]))
    config.addinivalue_line("markers", "e2e: needs real containers; runs with --e2e only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what needs a full node unless it is asked for."""
    if config.getoption("--e2e"):
        return
    skip = pytest.mark.skip(reason="needs --e2e")
    for item in items:
        if item.get_closest_marker("e2e") is not None:
            item.add_marker(skip)
