from __future__ import annotations

import asyncio
import socket

from tests.support.fake_upstream import connect

from mcp_gateway.upstream.socket_state import hung_up, readable, undelivered


async def test_a_quiet_socket_is_not_readable_and_one_with_bytes_is() -> None:
    connection, transport = connect()
    assert not readable(transport)
    assert transport.socket is not None
    transport.socket.make_readable()
    assert readable(transport)
    transport.socket.close()
    assert readable(transport), "a closed socket is of no use"
    connection.close()
    assert readable(transport)
    await asyncio.sleep(0)


async def test_who_hung_up_is_told_from_who_sent_something() -> None:
    connection, transport = connect()
    assert not hung_up(transport)
    assert transport.socket is not None
    transport.socket.make_readable()
    assert not hung_up(transport)
    transport.socket.hang_up()
    assert hung_up(transport), "though what was sent before is not read"
    transport.socket.close()
    assert hung_up(transport)
    connection.close()
    assert hung_up(transport)
    await asyncio.sleep(0)


async def test_what_the_other_end_has_not_taken_is_known() -> None:
    connection, transport = connect()
    assert undelivered(transport) == 0, "no socket, and no error"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport.socket = ours  # type: ignore[assignment]  # one of the system
        assert undelivered(transport) == 0
        ours.send(b"abc")
        assert undelivered(transport) > 0
        theirs.recv(3)
        assert undelivered(transport) == 0
    assert undelivered(transport) == 0
    connection.close()
    assert undelivered(transport) == 0
    await asyncio.sleep(0)
