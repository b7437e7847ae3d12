"""A gateway as a process: start, calls, reload, signals, end."""

from __future__ import annotations

import json
import os
import pty
import shlex
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.command import TIMEOUT, Running, command, environment, run, start, until
from tests.support.gateway_process import SimulatorProcess, simulator

pytestmark = pytest.mark.integration

AT_ONCE = {"firstToken": {"median": "0s"}, "perToken": {"median": "0s"}}
SLOWLY = {"firstToken": {"median": "0s"}, "perToken": {"median": "1s"}}
LONG = {"median": 100, "sigma": 0}


def document(url: str, *, model: str = "kimi-.*", **server: Any) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.exai.dev/v1alpha1",
        "kind": "MCPGateway",
        "metadata": {"name": "under-test"},
        "spec": {
            "server": {"host": "127.0.0.1", "port": 0, "adminPort": 0, **server},
            "providers": [
                {
                    "name": "kimi",
                    "type": "kimi",
                    "endpoints": [{"url": url}],
                    "apiKey": {"secretRef": {"name": "kimi", "key": "api-key"}},
                }
            ],
            "routes": [
                {"name": "only", "match": {"model": model}, "backends": [{"provider": "kimi"}]}
            ],
        },
    }


class Place:
    """The files of one gateway."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "gateway.yaml"
        self.secrets = folder / "secrets"
        (self.secrets / "kimi").mkdir(parents=True)
        (self.secrets / "kimi" / "api-key").write_text("sk-test\n", encoding="utf-8")

    def write(self, what: object) -> None:
        # As an editor does: a reader sees the old document or the new one.
        new = self.folder / "new"
        new.write_text(what if isinstance(what, str) else json.dumps(what), encoding="utf-8")
        new.rename(self.file)

    def argv(self, *options: str) -> list[str]:
        folders = ["--secrets-dir", str(self.secrets), "--data-dir", str(self.folder / "data")]
        return ["run", str(self.file), *folders, *options]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def provider() -> Iterator[SimulatorProcess]:
    with simulator() as made:
        yield made


@pytest.fixture
def fast(provider: SimulatorProcess) -> SimulatorProcess:
    provider.configure({"latency": AT_ONCE})
    return provider


@pytest.fixture
def slow(provider: SimulatorProcess) -> SimulatorProcess:
    provider.configure({"latency": SLOWLY, "answerTokens": LONG})
    return provider


def ready(gateway: Running) -> dict[str, Any]:
    """Wait for the line of JSON that says where everything is."""
    gateway.wait_for("out", "\n")
    facts: dict[str, Any] = json.loads(gateway.out)
    return facts


def asked(facts: dict[str, Any], *options: str, way: str = "mcp_websocket") -> list[str]:
    """A `call` to a gateway, with the key that it made."""
    options = options or ("--model", "kimi-k2.6")
    return ["call", "--url", facts[way], "--api-key", facts["api_key"] or "", *options, "Hello!"]


def status(facts: dict[str, Any]) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{facts['admin']}/status", timeout=TIMEOUT) as response:
        found: dict[str, Any] = json.load(response)
        return found


def test_it_runs_answers_and_ends(place: Place, fast: SimulatorProcess) -> None:
    place.write(document(fast.url))
    with start(*place.argv("--json")) as gateway:
        facts = ready(gateway)
        assert facts["name"] == "under-test"
        assert facts["api_key"].startswith("mgw_")
        assert facts["providers"] == {"kimi": "kimi"}

        for way in ("mcp_websocket", "mcp_http"):
            streamed = run(*asked(facts, way=way))
            assert streamed.status == 0, streamed.err
            assert streamed.out.startswith("You said")
            assert "kimi kimi-k2.6" in streamed.err
            whole = run(*asked(facts, "--json", "--model", "kimi-k2.6", way=way))
            assert json.loads(whole.out)["provider"] == "kimi"
            assert whole.err == ""

        wrong = run("call", "--url", facts["mcp_http"], "--api-key", "no", "--model", "m", "Hello!")
        assert (wrong.status, wrong.out) == (1, "")
        assert "Unauthenticated" in wrong.err

        gateway.signal(signal.SIGTERM)
        done = gateway.end()

    assert done.status == 0
    assert done.out.count("\n") == 1, "stdout is for the one line"
    assert "cancelled exchanges" not in done.err
    assert Path(facts["spool"]).exists()
    listed = run("records", "list", "--spool", facts["spool"], "--json")
    assert len(json.loads(listed.out)["records"]) >= 4


def test_what_the_banner_says_to_try_works(place: Place, fast: SimulatorProcess) -> None:
    place.write(document(fast.url))
    with start(*place.argv()) as gateway:
        gateway.wait_for("err", "mcp-gateway call")
        gateway.wait_for("err", "'Hello!'\n")
        lines = [line.strip() for line in gateway.err.splitlines()]
        (call,) = [line for line in lines if line.startswith("mcp-gateway call")]
        (curl,) = [line for line in lines if line.startswith("curl")]

        called = run(*shlex.split(call)[1:])
        assert called.status == 0, called.err
        assert called.out.startswith("You said")

        if shutil.which("curl"):
            done = subprocess.run(
                ["sh", "-c", f"{curl} --silent --noproxy '*'"],
                capture_output=True,
                timeout=TIMEOUT,
                env=environment(),
                check=False,
            )
            assert "You said" in json.loads(done.stdout)["choices"][0]["message"]["content"]
        gateway.signal(signal.SIGINT)
        done_gateway = gateway.end()

    assert (done_gateway.status, done_gateway.out) == (0, "")


def test_a_changed_document_is_taken_up(place: Place, fast: SimulatorProcess) -> None:
    place.write(document(fast.url, model="glm-.*"))
    with start(*place.argv("--json")) as gateway:
        facts = ready(gateway)
        assert "NoRoute" in run(*asked(facts)).err

        place.write(document(fast.url, model="kimi-.*"))
        until(lambda: status(facts)["generation"] == 2)

        assert run(*asked(facts)).status == 0
        gateway.signal(signal.SIGTERM)
        assert gateway.end().status == 0


def test_a_wrong_document_is_refused_and_the_last_good_one_stays(
    place: Place, fast: SimulatorProcess
) -> None:
    place.write(document(fast.url))
    with start(*place.argv("--json")) as gateway:
        facts = ready(gateway)

        place.write("spec: {")
        gateway.wait_for("err", "document refused")
        assert run(*asked(facts)).status == 0

        place.write(document(fast.url, model=".*"))
        until(lambda: status(facts)["generation"] == 2)
        gateway.signal(signal.SIGTERM)
        assert gateway.end().status == 0


def test_the_form_of_the_log_is_taken_up_and_another_port_is_not(
    place: Place, fast: SimulatorProcess
) -> None:
    place.write(document(fast.url))
    with start(*place.argv("--json")) as gateway:
        facts = ready(gateway)

        changed = document(fast.url, path="/elsewhere")
        changed["spec"]["logging"] = {"format": "text"}
        place.write(changed)
        gateway.wait_for("err", " INFO    document applied")
        assert "settings=spec.server.path" in gateway.err

        assert run(*asked(facts)).status == 0
        gateway.wait_for("err", " INFO    exchange exchange=")
        gateway.signal(signal.SIGTERM)
        assert gateway.end().status == 0


def test_a_hangup_reads_the_document_again(place: Place, fast: SimulatorProcess) -> None:
    place.write(document(fast.url))
    with start(*place.argv("--json")) as gateway:
        facts = ready(gateway)

        gateway.signal(signal.SIGHUP)
        gateway.wait_for("err", "document applied")

        assert run(*asked(facts)).status == 0
        gateway.signal(signal.SIGTERM)
        assert gateway.end().status == 0


def test_a_terminal_that_is_closed_ends_it(place: Place, fast: SimulatorProcess) -> None:
    place.write(document(fast.url))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*place.argv()),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=environment(),
    )
    os.close(theirs)
    try:
        written = b""
        while b"Try:" not in written:
            written += os.read(ours, 65536)
        process.send_signal(signal.SIGHUP)
        while b"document applied" not in written:
            written += os.read(ours, 65536)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert process.wait(TIMEOUT) == 0
    finally:
        process.kill()


def test_a_rotated_secret_is_taken_up(place: Place, fast: SimulatorProcess) -> None:
    spec = document(fast.url)
    spec["spec"]["auth"] = {"apiKeys": {"secretRef": {"name": "clients", "key": "keys"}}}
    place.write(spec)
    keys = place.secrets / "clients" / "keys"
    run("keys", "create", "alice", "--append", str(keys))
    with start(*place.argv("--json")) as gateway:
        facts = ready(gateway)
        assert facts["api_key"] is None

        key = run("keys", "create", "bob", "--append", str(keys)).out.strip()
        gateway.wait_for("err", "document applied")

        env = {"MCP_GATEWAY_API_KEY": key, "MCP_GATEWAY_URL": facts["mcp_websocket"]}
        done = run("call", "--model", "kimi-k2.6", "Hello!", env=env)
        assert done.status == 0, done.err
        gateway.signal(signal.SIGTERM)
        assert gateway.end().status == 0


def test_ctrl_c_in_a_call_cancels_it_at_the_provider(place: Place, slow: SimulatorProcess) -> None:
    place.write(document(slow.url))
    before = slow.stats()["disconnected"]
    with start(*place.argv("--json")) as gateway:
        with start(*asked(ready(gateway))) as call:
            call.wait_for("out", "You")
            call.signal(signal.SIGINT)
            done = call.end()
        until(lambda: slow.stats()["disconnected"] == before + 1)
        gateway.signal(signal.SIGTERM)
        gateway.end()

    assert done.status == 130
    assert done.out.endswith("\n")
    assert "Traceback" not in done.err


def test_draining_lets_an_answer_end(place: Place, provider: SimulatorProcess) -> None:
    provider.configure(
        {
            "latency": {"firstToken": {"median": "0s"}, "perToken": {"median": "20ms"}},
            "answerTokens": {"median": 50, "sigma": 0},
        }
    )
    place.write(document(provider.url))
    with start(*place.argv("--json")) as gateway:
        with start(*asked(ready(gateway))) as call:
            call.wait_for("out", "You")
            gateway.signal(signal.SIGTERM)
            answered = call.end()
        done = gateway.end()

    assert answered.status == 0, answered.err
    assert done.status == 0


def test_a_second_ctrl_c_does_not_wait(place: Place, slow: SimulatorProcess) -> None:
    place.write(document(slow.url))
    with start(*place.argv("--json")) as gateway, start(*asked(ready(gateway))) as call:
        call.wait_for("out", "You")
        gateway.signal(signal.SIGINT)
        gateway.wait_for("err", "draining")
        gateway.signal(signal.SIGINT)
        done = gateway.end()
        lost = call.end()

    assert done.status == 130
    assert "Traceback" not in done.err
    assert lost.status == 1


def test_a_port_that_is_taken_is_told(place: Place, fast: SimulatorProcess) -> None:
    place.write(document(fast.url))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = run(*place.argv("--port", port))

    assert (done.status, done.out) == (1, "")
    assert f"error: cannot start: cannot listen on 127.0.0.1:{port}: Address already" in done.err
    assert "hint:" in done.err
    assert "Traceback" not in done.err


def test_a_secret_that_is_missing_is_told_before_anything_starts(
    place: Place, fast: SimulatorProcess
) -> None:
    place.write(document(fast.url))
    (place.secrets / "kimi" / "api-key").unlink()

    done = run(*place.argv())

    assert (done.status, done.out) == (2, "")
    assert "error: spec.providers[0].apiKey: key api-key of Secret kimi: expected it in" in done.err
    assert "Traceback" not in done.err


def test_a_simulator_runs_until_it_is_told_to_end() -> None:
    with start("simulate", "--wire", "glm", "--port", "0", "--json") as made:
        facts = ready(made)
        assert facts["wire"] == "glm"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(  # noqa: S310
            f"{facts['url']}/models", headers={"Authorization": "Bearer any"}
        )
        with opener.open(request, timeout=TIMEOUT) as response:
            assert json.load(response)["data"]
        made.signal(signal.SIGTERM)
        done = made.end()

    assert done.status == 0


def test_the_samples_are_good() -> None:
    samples = sorted(Path(__file__).parents[3].glob("manifests/samples/*.yaml"))

    assert samples
    for sample in samples:
        done = run("check", str(sample))
        assert done.status == 0, done.out


def test_the_process_can_be_started_as_a_module_from_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        command("--version"),
        cwd=tmp_path,
        capture_output=True,
        timeout=TIMEOUT,
        env={**environment(), "PATH": os.environ["PATH"]},
        check=False,
    )

    assert done.stdout.startswith(b"mcp-gateway ")
