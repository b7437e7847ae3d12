"""The reference page of the operator's command line, made from the command line itself."""

from __future__ import annotations

from docs.cli_page import parts

from mcp_gateway_operator.cli import arguments

_HEAD = """\
# The operator's command line

Made by `make generate` from the command line itself; change it there. Every command has the same
words under `--help`.

`run` is what the operator's pod runs. The others are for people: `render` needs no cluster,
`status` and `diff` use the one that `kubectl` would.

| exit status | meaning |
|---|---|
| 0 | done; of `diff`: nothing would change |
| 1 | failed; of `diff`: something would change |
| 2 | wrong usage or document; of `diff`: failed too |
| 130 | interrupted by Ctrl-C |
| 141 | the reader of the output went away |
"""


def operator_cli_page() -> str:
    """Return the page, in Markdown."""
    return "\n".join([_HEAD, *parts(arguments.parser(), depth=1)])
