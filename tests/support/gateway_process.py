"""A gateway, and the simulated providers behind it, each as the process a user would start."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.process import Child

REQUEST_TIMEOUT = 30.0


def _json_request(url: str, *, method: str = "GET", body: object = None, key: str = "") -> Any:
    """Ask one of our own HTTP servers on loopback, past any proxy of the environment."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(url, data=data, method=method, headers=headers)  # noqa: S310
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=REQUEST_TIMEOUT) as response:
        answer = response.read()
    return json.loads(answer) if answer else None


@dataclass(frozen=True, slots=True)
class SimulatorProcess:
    """A running simulated provider.

    Attributes:
        child: its process.
        url: base URL to configure a provider with.
        wire: whose it is, `kimi` or `glm`.
    """

    child: Child
    url: str
    wire: str

    @property
    def origin(self) -> str:
        """`http://host:port`."""
        return "/".join(self.url.split("/")[:3])

    def stats(self) -> dict[str, Any]:
        """What it saw so far, as `Simulator.stats` describes."""
        answer: dict[str, Any] = _json_request(f"{self.origin}/simulator/stats")
        return answer

    def forget(self) -> None:
        """Have it count anew; what is in flight stays."""
        _json_request(f"{self.origin}/simulator/stats", method="DELETE")

    def configure(self, settings: Mapping[str, object]) -> None:
        """Replace its settings: fields of `api.simulator.SimulatorSettings`, in camelCase."""
        whole = {"wire": self.wire, **settings}
        _json_request(f"{self.origin}/simulator/settings", method="PUT", body=whole)


@contextlib.contextmanager
def simulator(
    settings: Mapping[str, object] | None = None, *, wire: str = "kimi"
) -> Iterator[SimulatorProcess]:
    """Run a simulated provider for the length of the block."""
    arguments = ["simulate", "--wire", wire, "--port", "0", "--json"]
    with Child.module("mcp_gateway", *arguments, name=f"simulator-{wire}") as child:
        facts = json.loads(child.wait_for_line(lambda line: line.startswith("{")))
        running = SimulatorProcess(child, facts["url"], wire)
        running.configure(settings or {})
        yield running


@dataclass(frozen=True, slots=True)
class ClientKey:
    """A client's key and the line of the Secret that lets it in."""

    key: str
    line: str


def client_key(name: str, limits: str = "") -> ClientKey:
    """Make a key for one client. `limits` are further words of its line, such as `rate=1/1h`."""
    key = f"mgw_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    return ClientKey(key, f"{name} sha256:{digest} {limits}".strip())


@dataclass(frozen=True, slots=True)
class GatewayProcess:
    """A running gateway.

    Attributes:
        child: its process.
        http, websocket, openai, admin: URLs of its faces, empty where one is off.
        spool: path of its records, empty where nothing is recorded.
    """

    child: Child
    http: str
    websocket: str
    openai: str
    admin: str
    spool: str


def document(name: str, spec: Mapping[str, object]) -> dict[str, object]:
    """An MCPGateway document around a spec."""
    return {
        "apiVersion": "gateway.exai.dev/v1alpha1",
        "kind": "MCPGateway",
        "metadata": {"name": name},
        "spec": dict(spec),
    }


@contextlib.contextmanager
def gateway(
    what: Mapping[str, object],
    folder: Path,
    *,
    secrets_of: Mapping[str, Mapping[str, str]] | None = None,
    log: Path | None = None,
    interpreter: tuple[str, ...] = (),
) -> Iterator[GatewayProcess]:
    """Run `mcp-gateway run` on a document for the length of the block.

    It listens on ports the system chooses.

    Args:
        what: the document.
        folder: an empty folder for its files.
        secrets_of: Secrets it can read: keys and values by name.
        log: where its log goes; without it the last lines are kept for messages.
        interpreter: words of the command line in front of `-m mcp_gateway`, for a profiler.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "gateway.yaml"
    file.write_text(json.dumps(what), encoding="utf-8")  # JSON is YAML
    for name, values in (secrets_of or {}).items():
        (folder / "secrets" / name).mkdir(parents=True)
        for key, value in values.items():
            (folder / "secrets" / name / key).write_text(value, encoding="utf-8")
    (folder / "secrets").mkdir(exist_ok=True)
    arguments = ["run", str(file), "--json", "--port", "0", "--admin-port", "0"]
    arguments += ["--secrets-dir", str(folder / "secrets"), "--data-dir", str(folder / "data")]
    started = Child.module(
        "mcp_gateway", *arguments, name="gateway", log=log, interpreter=interpreter
    )
    with started as child:
        facts = json.loads(child.wait_for_line(lambda line: line.startswith("{")))
        yield GatewayProcess(
            child,
            http=facts["mcp_http"] or "",
            websocket=facts["mcp_websocket"] or "",
            openai=facts["openai"] or "",
            admin=facts["admin"] or "",
            spool=facts["spool"] or "",
        )
