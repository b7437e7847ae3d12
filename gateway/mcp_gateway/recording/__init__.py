"""Every interaction, kept: off the request path, with a stated guarantee.

record → recorder (a list on the event loop) → writer (a thread) → spool (SQLite) → shipper
(threads) → Supabase. `docs/reference/recording.md` states what may be lost, and when.
"""

from mcp_gateway.recording.record import Record, Try
from mcp_gateway.recording.recorder import Recorder, RecorderSettings

__all__ = ["Record", "Recorder", "RecorderSettings", "Try"]
