"""A tiny web server for pods to run: `page_server.py ADDRESS PORT FOLDER`.

It serves the files of a folder, so that a probe can be made to fail by removing one. `/env/NAME`
answers with a variable, `/` with the pod's name. On SIGTERM it says so and ends with status 0,
after `LINGER` seconds.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Pages(BaseHTTPRequestHandler):
    """Answers GET."""

    def do_GET(self) -> None:
        """Answer with a variable, a file, or the pod's name."""
        first, _, rest = self.path.removeprefix("/").partition("/")
        if first == "env":
            self._answer(os.environ.get(rest, "").encode())
            return
        file = Path(sys.argv[3]) / first
        if not first:
            self._answer(os.environ["HOSTNAME"].encode())
        elif file.is_file():
            self._answer(file.read_bytes())
        else:
            self.send_error(404)

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until SIGTERM."""
    server = ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Pages)

    def leave(_number: int, _frame: object) -> None:
        print("SIGTERM received", flush=True)
        time.sleep(float(os.environ.get("LINGER", "0")))
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, leave)
    print("serving", flush=True)
    server.serve_forever()
    print("ended", flush=True)


if __name__ == "__main__":
    main()
