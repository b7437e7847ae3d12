"""The README's first page, typed in as it stands: every command and every program.

What a block must do stands here beside a piece of it; a block that is not known fails.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.gateway_process import simulator
from tests.support.page import Place, blocks, dead_links, quickstart
from tests.support.port import free_port
from tests.support.process import ROOT

pytestmark = pytest.mark.integration

README = "README.md"
ANSWERED = {
    "mcp-gateway call": "You said: “Hello!”",
    "curl ": "You said: “Hello!”",
    "records list": "kimi-k2-0905-preview",
    "from openai": "You said: “Hello!”",
    "from mcp import": "You said: “Hello!”",
    "from mcp_gateway": "You said: “Hello!”",
}
# What other tests do: those of this module with `make` and the document, those of a cluster.
ELSEWHERE = ("make ", "mcp-gateway check", "mcp-gateway run", "kubectl ", "tests.cluster")


def _answered(language: str) -> list[str]:
    """The blocks that a gateway answers."""
    return [
        block
        for block in blocks(README, language)
        if not any(piece in block for piece in ELSEWHERE)
    ]


def _expected(block: str) -> str:
    (expected,) = {words for piece, words in ANSWERED.items() if piece in block}
    return expected


def _block(language: str, piece: str) -> str:
    """The one block with a piece of text in it."""
    (found,) = [block for block in blocks(README, language) if piece in block]
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with quickstart(tmp_path_factory.mktemp("readme")) as made:
        yield made


@pytest.mark.parametrize("block", _answered("sh"))
def test_the_commands_are_answered(block: str, place: Place) -> None:
    done = place.type_in(block)
    assert done.status == 0, done.out + done.err
    assert _expected(block) in done.out


@pytest.mark.parametrize("block", _answered("python"))
def test_the_programs_are_answered(block: str, place: Place) -> None:
    done = place.run_program(block)
    assert done.status == 0, done.err
    assert _expected(block) in done.out


@pytest.mark.parametrize("page", ["http://127.0.0.1:9079", "http://127.0.0.1:9079/metrics"])
def test_the_pages_it_names_are_there(page: str, place: Place) -> None:
    assert f"<{page}>" in (ROOT / README).read_text(encoding="utf-8")
    done = place.type_in(f"curl {page}")
    assert done.status == 0, done.out + done.err


def test_what_there_is_to_make_is_there() -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("there is no make")
    lines = "".join(block for block in blocks(README, "sh") if "make " in block).splitlines()
    targets = [word for line in lines for word in line.split("#")[0].split()[1:]]
    assert {"run", "test", "lint", "types", "bench", "generate"} <= set(targets)
    for target in targets:
        # -n: say what would be done. The tests run inside `make test` themselves.
        told = subprocess.run(
            [make, "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
        if target == "run":
            assert "bin/mcp-gateway run manifests/samples/quickstart.yaml" in told.stdout


def test_the_document_it_shows_does_what_it_says(place: Place) -> None:
    document = _block("yaml", "kind: MCPGateway")
    file = place.folder / "gateway.yaml"
    file.write_text(document, encoding="utf-8")
    prepared = place.type_in(_block("sh", "keys create"))
    assert prepared.status == 0, prepared.out + prepared.err
    assert "preset kimi-tier2" in prepared.out
    key = prepared.out.splitlines()[-1]

    with simulator(wire="glm") as glm:
        _send_elsewhere(file, {"kimi": f"http://127.0.0.1:{free_port()}/v1", "glm": glm.url})
        with place.typed_in(_block("sh", "mcp-gateway run")) as facts:
            call = f"mcp-gateway call --url {facts['mcp_websocket']} --model kimi-k2.6 'Hello!'"
            stranger = place.type_in(call)
            alice = place.type_in(f"MCP_GATEWAY_API_KEY={key} {call}")

    assert stranger.status == 1
    assert "Unauthenticated" in stranger.err
    assert "You said: “Hello!”" in alice.out, alice.err
    assert "glm glm-5" in alice.err, "kimi cannot take it"


def _send_elsewhere(file: Path, urls: dict[str, str]) -> None:
    """Replace the providers' own addresses, which are not for tests."""
    text = file.read_text(encoding="utf-8")
    for kind, url in urls.items():
        line = f"    type: {kind}\n"
        assert text.count(line) == 1, f"one provider of type {kind}"
        text = text.replace(line, f'{line}    endpoints: [{{url: "{url}"}}]\n')
    file.write_text(text, encoding="utf-8")


def test_the_map_of_the_code_names_files_that_are_there() -> None:
    text = (ROOT / "docs/design/001-rooms-and-floors.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?)`", text))
    assert {"proxy/balancer.py", "providers/registry.py"} <= named
    rooms = ROOT / "gateway" / "mcp_gateway"
    assert sorted(name for name in named if not (rooms / name).exists()) == []


def test_the_older_form_is_read_as_it_is(place: Place) -> None:
    done = place.type_in("mcp-gateway check manifests/samples/mcp.yaml")
    assert done.status == 0, done.err


@pytest.mark.parametrize(
    "page",
    [ROOT / README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    assert dead_links(page) == []
