"""`render`: every object of every MCPGateway of a file, for review."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mcp_gateway_operator import cli
from mcp_gateway_operator.cli.render import text

SAMPLES = Path(__file__).parents[4] / "manifests" / "samples"
SAMPLE = SAMPLES / "mcpgateway.yaml"


def rendered(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert cli.main(["render", *arguments]) == cli.OK
    return list(yaml.safe_load_all(capsys.readouterr().out))


def kinds(things: list[dict[str, Any]]) -> set[str]:
    return {thing["kind"] for thing in things}


@pytest.mark.parametrize(
    "sample", [path for path in sorted(SAMPLES.glob("*.yaml")) if path.name != "mcp.yaml"],
    ids=lambda path: path.stem,
)  # fmt: skip
def test_every_sample_is_rendered(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    things = rendered(capsys, str(sample))
    assert {"ConfigMap", "Secret", "Service", "ServiceAccount", "NetworkPolicy"} <= kinds(things)
    assert kinds(things) & {"Deployment", "StatefulSet"}


def test_secrets_are_shown_without_what_is_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    secrets = [each for each in rendered(capsys, str(SAMPLE)) if each["kind"] == "Secret"]
    assert {each["metadata"]["name"] for each in secrets} >= {"demo-control", "demo-client"}
    assert all(each["data"] == {} for each in secrets)


def test_options_reach_the_objects(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--image", "r/g:1", "--operator-namespace", "ops", "--namespace", "ai"]
    things = rendered(capsys, str(SAMPLE), *options)
    assert {each["metadata"]["namespace"] for each in things} == {"ai"}
    (deployment,) = [each for each in things if each["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "r/g:1"
    (policy,) = [each for each in things if each["kind"] == "NetworkPolicy"]
    assert "ops" in str(policy)


def test_what_only_some_clusters_know_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(SAMPLES / "kimi-glm.yaml")
    assert "PodMonitor" in kinds(rendered(capsys, file))
    assert "PodMonitor" not in kinds(rendered(capsys, file, "--without-optional"))


def test_as_json_it_is_one_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["render", str(SAMPLE), "--json"]) == cli.OK
    whole = json.loads(capsys.readouterr().out)
    assert whole["kind"] == "List"
    assert kinds(whole["items"]) == kinds(rendered(capsys, str(SAMPLE)))


def test_stdin_with_other_things_and_lists(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = yaml.safe_load(SAMPLE.read_text(encoding="utf-8"))
    second = {**first, "metadata": {"name": "second"}}
    other = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
    several = yaml.safe_dump_all([other, {"kind": "List", "items": [second]}, first, None, "text"])
    monkeypatch.setattr(sys, "stdin", io.StringIO(several))
    names = [each["metadata"]["name"] for each in rendered(capsys, "-")]
    assert "second" in names
    assert "demo" in names
    assert "x" not in names


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("kind: Secret", "has no MCPGateway"),
        ("a: [", "gateway.yaml"),
        ("", "has no MCPGateway"),
        (
            "{apiVersion: gateway.exai.dev/v1alpha1, kind: MCPGateway, metadata: {name: a},"
            " spec: {replicas: -1, providers: [{name: s, type: simulatr}]}}",
            "spec.providers[0].type",
        ),
    ],
)
def test_a_file_that_is_not_right_is_complained_about(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(content, encoding="utf-8")
    assert cli.main(["render", str(file)]) == cli.WRONG
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["render", "/nowhere/gateway.yaml"]) == cli.WRONG
    assert "/nowhere/gateway.yaml" in capsys.readouterr().err


def test_every_problem_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = yaml.safe_load(SAMPLE.read_text(encoding="utf-8"))
    document["spec"]["replicas"] = -1
    document["spec"]["providers"][0]["type"] = "simulatr"
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert cli.main(["render", str(file)]) == cli.WRONG
    said = capsys.readouterr().err
    assert "spec.replicas" in said
    assert "spec.providers[0].type" in said


def test_text_of_several_lines_and_shared_parts_are_written_out() -> None:
    shared = {"app": "x"}
    written = text({"a": "one\ntwo\n", "b": shared, "c": shared})
    assert written == "a: |\n  one\n  two\nb:\n  app: x\nc:\n  app: x\n"
