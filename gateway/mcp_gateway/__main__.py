"""`python -m mcp_gateway` is the command `mcp-gateway`."""

import sys

from mcp_gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
