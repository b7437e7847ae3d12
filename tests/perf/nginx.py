"""The yardstick: nginx as a plain reverse proxy in front of the same simulated provider.

One worker, keep-alive to the upstream, no log: the least that a proxy must do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.process import Child, ChildFailed

INSTALL_TIMEOUT = 300.0
STREAMED = "/streamed"
"""In front of a path: pass the answer on piece by piece."""

CONFIGURATION = """\
{user}
# One process, so that who counts its CPU time has the right one from the start.
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
daemon off;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
    upstream provider {{
        server {upstream};
        keepalive 256;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Authorization "Bearer {key}";
        location / {{
            proxy_pass http://provider;
        }}
        location {streamed}/ {{
            proxy_pass http://provider/;
            proxy_buffering off;
        }}
    }}
}}
"""


class NoNginx(Exception):
    """nginx is not here and cannot be installed; the message says what to do."""


def executable() -> str:
    """Return nginx's path; install Debian's package when it is missing and this user may.

    Raises:
        NoNginx: it is missing, and stays so.
    """
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found:
        return found
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        raise NoNginx("nginx is not installed (Debian: apt-get install nginx-core as root)")
    command = [apt, "install", "-y", "-qq", "--no-install-recommends", "nginx"]
    for arguments in ([apt, "update", "-qq"], command):
        done = subprocess.run(
            arguments,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            timeout=INSTALL_TIMEOUT,
            check=False,
        )
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not found:
        raise NoNginx(f"apt-get could not install nginx: {done.stderr.decode()[-300:]}")
    return found


def version() -> str:
    """Return the version of the installed nginx."""
    said = subprocess.run([executable(), "-v"], capture_output=True, text=True, check=False)
    return said.stderr.strip().rpartition("/")[2]


def start(folder: Path, port: int, upstream: str, key: str) -> Child:
    """Start nginx on a loopback port in front of `upstream` (host:port).

    The folder holds its files; the caller stops the child.

    Raises:
        NoNginx: see `executable`.
        ChildFailed: it did not accept its configuration.
    """
    program = executable()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nginx.conf"
    text = CONFIGURATION.format(
        # Workers of a master that root started would else run as a user without these folders.
        user="user root;" if os.geteuid() == 0 else "",
        folder=folder,
        upstream=upstream,
        port=port,
        key=key,
        streamed=STREAMED,
    )
    path.write_text(text, encoding="utf-8")
    arguments = [program, "-p", str(folder), "-c", str(path), "-e", str(folder / "error.log")]
    checked = subprocess.run([*arguments, "-t"], capture_output=True, text=True, check=False)
    if checked.returncode:
        raise ChildFailed(f"nginx refused its configuration\n{checked.stderr}")
    return Child(arguments, name="nginx")
