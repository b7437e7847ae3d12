"""MCP without I/O: bytes in, messages or a rejection out; answers in, bytes out.

Nothing in this room opens a socket, reads a clock or keeps a task. `inbound` reads what a
client sent (one HTTP request or one WebSocket frame) and returns an event; `outbound` writes
answers; `jsonrpc` is the envelope both share; `versions` enumerates the revisions and their two
eras; `headers` and `sse` are the two encodings of HTTP that MCP leans on.

A message that cannot be served is a value, not an exception: every `receive_*` returns
`jsonrpc.Rejected`, which carries the error, the JSON-RPC id where one was readable, and the HTTP
status of the answer. So no caller can lose the id on the way.
"""
