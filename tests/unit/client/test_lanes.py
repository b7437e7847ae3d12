from __future__ import annotations

import httpx
import pytest

from mcp_gateway.client.lanes import Lanes

REQUEST = httpx.Request("GET", "http://gateway/")


class Body(httpx.AsyncByteStream):
    def __init__(self) -> None:
        self.closed = False

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        yield b"body"

    async def aclose(self) -> None:
        self.closed = True


class Lane(httpx.AsyncBaseTransport):
    """One connection, which may be used by one request at a time."""

    def __init__(self, number: int, error: Exception | None) -> None:
        self.number = number
        self.error = error
        self.closed = False
        self.body = Body()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.error is not None:
            raise self.error
        self.body = Body()
        return httpx.Response(
            200, headers={"X": str(self.number)}, stream=self.body, extensions={"a": 1}
        )

    async def aclose(self) -> None:
        self.closed = True


class Street:
    def __init__(self, error: Exception | None = None) -> None:
        self.opened: list[Lane] = []
        self.error = error
        self.lanes = Lanes(self.open)

    def open(self) -> Lane:
        lane = Lane(len(self.opened), self.error)
        self.opened.append(lane)
        return lane

    async def request(self) -> httpx.Response:
        return await self.lanes.handle_async_request(REQUEST)


async def test_a_response_passes_through() -> None:
    street = Street()
    response = await street.request()

    assert (response.status_code, response.headers["X"]) == (200, "0")
    assert response.extensions == {"a": 1}
    assert await response.aread() == b"body"
    assert street.opened[0].body.closed


async def test_requests_at_once_have_lanes_of_their_own() -> None:
    street = Street()

    responses = [await street.request() for _ in range(3)]

    assert [response.headers["X"] for response in responses] == ["0", "1", "2"]


async def test_the_last_lane_used_is_taken_first() -> None:
    street = Street()
    responses = [await street.request() for _ in range(3)]
    for response in responses:
        await response.aclose()

    assert (await street.request()).headers["X"] == "2"
    assert len(street.opened) == 3


async def test_a_lane_is_lent_until_its_response_is_closed() -> None:
    street = Street()
    await street.request()

    assert (await street.request()).headers["X"] == "1"


async def test_closing_a_response_twice_gives_its_lane_back_once() -> None:
    street = Street()
    response = await street.request()
    stream = response.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    await stream.aclose()
    await stream.aclose()

    assert [(await street.request()).headers["X"] for _ in range(2)] == ["0", "1"]


async def test_a_lane_that_failed_is_used_again() -> None:
    street = Street(httpx.ConnectError("refused"))
    for _ in range(3):
        with pytest.raises(httpx.ConnectError):
            await street.request()

    assert len(street.opened) == 1


async def test_what_a_burst_opened_is_closed_again() -> None:
    street = Street()
    responses = [await street.request() for _ in range(50)]
    for response in responses:
        await response.aclose()

    assert sum(lane.closed for lane in street.opened) == 30


async def test_closing_closes_lanes_in_use_and_idle_ones() -> None:
    street = Street()
    used, idle = await street.request(), await street.request()
    await idle.aclose()

    await street.lanes.aclose()
    await used.aclose()

    assert all(lane.closed for lane in street.opened)
