"""The tutorial, typed in from its first line to its last."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.integration.cli.command import until
from tests.support.gateway_process import simulator
from tests.support.page import SAMPLE, Place, blocks, quickstart
from tests.support.process import ROOT

pytestmark = pytest.mark.integration

PAGE = "docs/tutorial/five-minutes.md"

# What a block of shell must do, by a piece of it: its exit status, and words it writes.
STEPS = {
    "--provider kimi": (0, "You said: “Hello!”"),
    "--model glm-5": (0, "You said: “Who are you?”"),
    "--model gpt-9": (1, "routes in order: kimi, glm"),
    "/v1/models": (0, '"id":"glm-5"'),
    '"stream": true': (0, "data: [DONE]"),
    "records list --errors": (0, "NoRoute"),
    "/limits": (0, '"generation"'),
    "for n in": (0, "queue"),
    "mcp-gateway check": (0, "is good"),
}
ELSEWHERE = ("make run", "export PATH", "mcp-gateway run")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with quickstart(tmp_path_factory.mktemp("tutorial")) as made:
        yield made


def _steps() -> list[str]:
    return [block for block in blocks(PAGE, "sh") if not any(piece in block for piece in ELSEWHERE)]


def test_every_step_is_typed_in_and_does_what_it_says(place: Place) -> None:
    steps = _steps()
    assert len(steps) == len(STEPS)
    for block in steps:
        (wanted,) = [what for piece, what in STEPS.items() if piece in block]
        done = place.type_in(block)
        assert done.status == wanted[0], f"{block}\n{done.out}{done.err}"
        assert wanted[1] in done.out + done.err, f"{block}\n{done.out}{done.err}"


def test_a_record_is_found_by_the_first_digits_of_its_id(place: Place) -> None:
    place.type_in("mcp-gateway call --model glm-5 'Who are you?'")

    listed = json.loads(place.type_in("mcp-gateway records list --limit 1 --json").out)
    shown = place.type_in(f"mcp-gateway records show {listed['records'][0]['id'][:8]}")

    assert shown.status == 0, shown.err


def test_the_edit_it_proposes_is_taken_up_and_the_mistake_is_refused(tmp_path: Path) -> None:
    (edit,) = [block for block in blocks(PAGE, "yaml") if "logging" in block]
    with quickstart(tmp_path) as place:
        file = tmp_path / "first-terminal" / "gateway.yaml"
        text = (ROOT / SAMPLE).read_text(encoding="utf-8")
        good = text.rstrip() + "\n" + _under_spec(edit)
        _write(file, good)
        until(lambda: "INFO    document applied" in place.running.child.output)

        _write(file, good.replace("{format:", "{formt:"))
        until(lambda: "document refused" in place.running.child.output)
        done = place.type_in("mcp-gateway call --model glm-5 'Who are you?'")
        told = place.type_in(f"mcp-gateway check {file}")

    assert done.status == 0, done.err
    assert told.status == 2
    assert "did you mean format?" in told.out + told.err


def _under_spec(edit: str) -> str:
    return re.sub("^", "  ", edit, flags=re.MULTILINE).rstrip() + "\n"


def _write(file: Path, text: str) -> None:
    # As an editor does: a reader sees the old document or the new one.
    new = file.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.rename(file)


def test_the_document_with_a_real_key_runs(place: Place) -> None:
    (document,) = [block for block in blocks(PAGE, "yaml") if "kind: MCPGateway" in block]
    (command,) = [block for block in blocks(PAGE, "sh") if "mcp-gateway run" in block]
    with simulator() as kimi:
        changed = yaml.safe_load(document)
        changed["spec"]["providers"][0]["endpoints"] = [{"url": kimi.url}]
        (place.folder / "gateway.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
        with place.typed_in(command) as facts:
            done = place.type_in(f"mcp-gateway call --url {facts['mcp_http']} 'Hello!'")

    assert done.status == 0, done.err
    assert "You said: “Hello!”" in done.out
