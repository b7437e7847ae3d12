"""`mcp-gateway-operator`: the command line."""

from __future__ import annotations

import sys

from mcp_gateway_operator.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
