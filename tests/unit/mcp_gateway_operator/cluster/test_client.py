"""What a request that nobody answers is told as."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp
import pytest

from mcp_gateway_operator.cluster import Access, Cluster, Unreachable
from mcp_gateway_operator.cluster.client import MOST_RETRY_AFTER, refusal
from mcp_gateway_operator.metrics import Metrics


class Silence:
    """A session that raises instead of answering."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def request(self, *_: Any, **__: Any) -> Any:
        """See `aiohttp.ClientSession.request`."""
        raise self._error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TimeoutError(), "GET /version: TimeoutError"),
        (aiohttp.ServerDisconnectedError(), "GET /version: Server disconnected"),
    ],
)
async def test_a_request_without_an_answer_says_what_happened(error: Exception, told: str) -> None:
    cluster = Cluster(Access("https://cluster", ssl.create_default_context()), Metrics())
    silence: Any = Silence(error)
    cluster._session = silence
    with pytest.raises(Unreachable) as raised:
        await cluster.request("get", "GET", "/version")
    assert str(raised.value) == told


@pytest.mark.parametrize(
    ("said", "wait"),
    [("7", 7.0), ("86400", MOST_RETRY_AFTER), ("-1", 0.0), ("nan", 0.0), ("soon", 0.0)],
)
def test_a_server_is_not_waited_for_without_end(said: str, wait: float) -> None:
    told = refusal(429, b"", {"Retry-After": said})
    assert isinstance(told, Unreachable)
    assert told.retry_after == wait
