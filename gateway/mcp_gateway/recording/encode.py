"""From a record to its row in the spool: JSON, redacted, with content made whole.

Runs in the spool's thread, never on the event loop.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

import msgspec

from mcp_gateway.recording.record import Record
from mcp_gateway.recording.redact import UNREADABLE, Redactor
from mcp_gateway.recording.spool import Row
from mcp_gateway.recording.stream import as_text, assemble

_encode = msgspec.json.Encoder().encode
_skip = msgspec.json.Decoder(msgspec.Raw).decode


class RecordEncoder:
    """Makes rows of records.

    Args:
        gateway: name of this pod or host, written into each record.
        redact: takes things out of bodies and error messages.
        hash_key: where given, client names are replaced by their keyed hash: the same client
            keeps the same hash, and a list of names is of no use without the key.
    """

    def __init__(
        self, *, gateway: str = "", redact: Redactor | None = None, hash_key: bytes | None = None
    ) -> None:
        self._gateway = gateway
        self._redact = redact
        self._loose = as_text if redact is None else redact.loose
        self._hash_key = hash_key
        self._hashes: dict[str, str] = {}

    def __call__(self, record: Record) -> Row:
        """Encode one record.

        Raises:
            ValueError, TypeError: a field holds what JSON cannot say.
        """
        record.gateway = self._gateway
        if self._hash_key is not None:
            name, record.client = record.client, self._hashed(record.client, self._hash_key)
            # Errors name the client that they are about, in this form.
            record.error_message = record.error_message.replace(repr(name), repr(record.client))
        if self._redact is not None and record.error_message:
            record.error_message = self._redact.text(record.error_message)
        if record.events is not None:
            record.response = self._assembled(record.events)
            record.events = None
        if isinstance(record.request, Mapping):
            record.request = self._content(_encode(record.request))
        elif record.request is not None:
            record.request = self._content(bytes(record.request))
        if record.response is not None:
            record.response = self._content(bytes(record.response))
        try:
            body = _encode(record).decode()
        except UnicodeEncodeError:
            _mend(record)
            body = _encode(record).decode()
        return Row(record.id, record.started, body)

    def _assembled(self, events: Sequence[bytes]) -> bytes:
        try:
            return assemble(events, loose=self._loose)
        except RecursionError:
            return _encode(UNREADABLE)

    def _content(self, body: bytes) -> msgspec.Raw:
        """A body as JSON to be put in as it is; what is not JSON becomes a JSON string."""
        if self._redact is not None:
            return msgspec.Raw(self._redact.body(body))
        try:
            body.decode()  # which skipping over it does not check
            _skip(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            body = _encode(body.decode("utf-8", "replace"))
        return msgspec.Raw(body)

    def _hashed(self, client: str, key: bytes) -> str:
        known = self._hashes.get(client)
        if known is None:
            if len(self._hashes) >= 4096:  # names come from outside: bounded
                self._hashes.clear()
            digest = hmac.new(key, client.encode("utf-8", "replace"), hashlib.sha256)
            known = self._hashes[client] = f"hmac:{digest.hexdigest()[:32]}"
        return known


def _mend(record: Record) -> None:
    """Replace half surrogate pairs, which Python's strings can hold and UTF-8 cannot."""
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, str):
            setattr(record, name, value.encode("utf-8", "replace").decode())
