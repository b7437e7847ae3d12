from __future__ import annotations

from mcp_gateway.protocol.event import Call, Notified, Replied
from mcp_gateway.protocol.jsonrpc import MessageType
from mcp_gateway.protocol.versions import Era, Revision


def test_every_event_says_what_type_of_message_it_was() -> None:
    call = Call(id=1, method="ping", era=Era.HANDSHAKE, version=Revision.R2025_11_25)
    assert call.type is MessageType.REQUEST
    assert Notified(method="m", era=Era.HANDSHAKE).type is MessageType.NOTIFICATION
    assert Replied(id=1, type=MessageType.ERROR).type is MessageType.ERROR


def test_a_call_without_parameters_has_empty_objects() -> None:
    call = Call(id=1, method="ping", era=Era.HANDSHAKE, version=Revision.R2025_11_25)
    assert bytes(call.params) == bytes(call.arguments) == b"{}"
