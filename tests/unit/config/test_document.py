from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import pytest
import yaml

from mcp_gateway.api import MCPGateway
from mcp_gateway.config.document import InvalidDocument, load, parse, parse_limits

ROOT = Path(__file__).parents[3]
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
VALID = sorted((ROOT / "tests" / "crd" / "valid").glob("*.yaml"))
HEAD = "apiVersion: gateway.exai.dev/v1alpha1\nkind: MCPGateway\nspec:\n"
PROVIDER = "  providers:\n  - name: kimi\n    type: simulator\n"


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidDocument) as refused:
        parse(text, installed=())
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_have_neither_problems_nor_warnings(path: Path) -> None:
    loaded = load(path)

    assert loaded.warnings == []
    assert loaded.source == str(path)
    assert loaded.form == ("mcp.yaml" if path.name == "mcp.yaml" else "MCPGateway")


@pytest.mark.parametrize("path", [*SAMPLES, *VALID], ids=lambda path: path.stem)
def test_a_document_written_out_again_is_the_same(path: Path) -> None:
    document = load(path).document
    written = document.model_dump(by_alias=True, mode="json", exclude_none=True)

    as_yaml = parse(yaml.safe_dump(written)).document
    as_json = parse(json.dumps(written)).document

    assert as_yaml.spec == as_json.spec == document.spec
    assert as_yaml.metadata == document.metadata


def test_everything_wrong_is_told_at_once_in_the_files_order() -> None:
    text = HEAD + (
        "  server: {port: 9079, hots: a}\n"
        "  auth: {anonymous: true}\n"
        "  middleware: [auth, cache]\n"
        "  providers:\n"
        "  - {name: kimi, type: kimi, pool: {minConnections: 3, maxConnections: 2}}\n"
        "  - {name: kimi, type: glm}\n"
        "  routes:\n"
        "  - {name: all, strategy: random, backends: [{provider: glm}]}\n"
        "  retry: {maxRetries: many}\n"
    )

    told = problems(text)

    assert [line.split(": ")[:2] for line in told] == [
        ["line 4", "spec.server.adminPort"],
        ["line 4", "spec.server.hots"],
        ["line 5", "spec.auth.anonymous"],
        ["line 6", "spec.middleware[1]"],
        ["line 8", "spec.providers[0].apiKey"],
        ["line 8", "spec.providers[0].pool.minConnections"],
        ["line 9", "spec.providers[1].apiKey"],
        ["line 9", "spec.providers[1].name"],
        ["line 11", "spec.routes[0].backends[0].provider"],
        ["line 11", "spec.routes[0].strategy"],
        ["line 12", "spec.retry.maxRetries"],
    ]


def test_a_rule_is_not_told_of_fields_that_are_wrong_themselves() -> None:
    text = HEAD + "  providers:\n  - {name: a, type: openai, endpoints: [{url: 'x'}]}\n"

    assert [line.split(": ")[1] for line in problems(text)] == [
        "spec.providers[0].endpoints[0].url"
    ]


def test_places_are_those_of_the_file_after_other_entries_are_taken_out() -> None:
    text = HEAD + (
        "  providers:\n"
        "  - {type: simulator}\n"
        "  - {name: b, type: simulator, pool: {minConnections: 2, maxConnections: 1}}\n"
    )

    assert [line.split(": ")[1] for line in problems(text)] == [
        "spec.providers[0].name",
        "spec.providers[1].pool.minConnections",
    ]


def test_a_place_is_told_once() -> None:
    text = HEAD + PROVIDER + "  replicas: .inf\n  replicas: 2\n"

    assert [line.split(": ")[1] for line in problems(text)] == ["spec.replicas", "spec.replicas"]


def test_a_file_says_what_it_is() -> None:
    assert problems("spec:\n" + PROVIDER) == [
        "line 1: apiVersion: is missing; expected gateway.exai.dev/v1alpha1",
        "line 1: kind: is missing; expected MCPGateway",
    ]


def test_keys_without_values_take_their_defaults() -> None:
    loaded = parse(HEAD + "  server:\n  auth: {jwt: }\n  middleware: ~\n" + PROVIDER)

    assert loaded.document == MCPGateway(spec=loaded.document.spec)
    assert loaded.document.spec.server.port == 8079
    assert loaded.document.spec.middleware == ["auth", "rate_limit", "logging"]


def test_bare_words_that_kubectl_takes_for_booleans_are_warned_of() -> None:
    loaded = parse(HEAD + PROVIDER + "  tuning: {mode: Off}\n  retry:\n    on: [connect]\n")

    assert loaded.document.spec.tuning.mode == "Off"
    assert loaded.document.spec.retry.on == ["connect"]
    assert [(w.path, w.line, w.severity) for w in loaded.warnings] == [
        ("spec.tuning.mode", 7, "warning"),
        ("spec.retry.on", 9, "warning"),
    ]


def test_installed_layers_may_be_named() -> None:
    text = HEAD + "  middleware: [auth, cache]\n" + PROVIDER

    assert parse(text, installed=["cache"]).document.spec.middleware == ["auth", "cache"]
    assert "no layer" in problems(text)[0]


def test_warnings_have_their_lines() -> None:
    loaded = parse(HEAD + PROVIDER + "    apiKey:\n      value: sk-secret\n")

    (warning,) = loaded.warnings
    assert (warning.path, warning.line) == ("spec.providers[0].apiKey", 7)
    assert "sk-secret" not in str(warning)


def test_the_original_form_is_told_of_in_its_own_words() -> None:
    loaded = parse("mcp:\n  connection_pool:\n    kimi:\n      min_connections: 40\n")

    (warning,) = loaded.warnings
    assert (warning.path, warning.line) == ("mcp.connection_pool.kimi.min_connections", 4)
    assert loaded.lines["spec", "providers", 0, "pool", "minConnections"] == 4


def test_a_warning_of_the_original_form_is_told_at_its_own_part() -> None:
    text = (
        "mcp:\n  connection_pool: {kimi: {}, glm: {}}\n"
        "  routing: {middleware: [rate_limit, auth], routes: {'.*': kimi}}\n"
    )

    assert [warning.path for warning in parse(text).warnings] == ["mcp.routing.middleware"]


def test_an_original_form_that_is_no_mapping_is_refused() -> None:
    assert problems("mcp: 3\n") == [
        "line 1: mcp: got 3; expected a mapping with server, connection_pool, routing, retry"
    ]


def test_a_file_that_can_not_be_read_is_one_problem(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(InvalidDocument, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * 3_000_000)

    with pytest.raises(InvalidDocument, match="too large: 1,048,577 bytes"):
        load(path)


def test_limits_are_read_as_they_are() -> None:
    update = parse_limits('{"providers": {"kimi": {"share": null}, "glm": {"share": 0}}}')

    assert update.providers["kimi"].model_fields_set == {"share"}
    assert update.providers["glm"].share == 0


def test_limits_that_make_no_sense_are_told_at_once() -> None:
    with pytest.raises(InvalidDocument) as refused:
        parse_limits('{"providers": {"kimi": {"share": -1, "shares": 2}}}')

    assert [problem.path for problem in refused.value.problems] == [
        "providers.kimi.share",
        "providers.kimi.shares",
    ]
    with pytest.raises(InvalidDocument, match="not a mapping"):
        parse_limits("[]")


@pytest.mark.parametrize("seed", range(3))
def test_no_mangled_document_escapes_as_another_error(seed: int) -> None:
    rng = random.Random(seed)
    texts = [path.read_bytes() for path in [*SAMPLES, *VALID]]
    for _ in range(150):
        data = bytearray(rng.choice(texts))
        for _ in range(rng.randint(1, 4)):
            start = rng.randrange(len(data))
            data[start : start + rng.randrange(6)] = rng.randbytes(rng.randrange(4))
        with contextlib.suppress(InvalidDocument):
            parse(bytes(data))
