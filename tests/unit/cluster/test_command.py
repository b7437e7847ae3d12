"""What a container's words become on a machine without containers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.cluster.command import (
    Paths,
    base_environment,
    command_line,
    expand,
    image_name,
    pullable,
)

PATHS = Paths({"/etc/app": Path("/pods/1/config"), "/etc/app/keys": Path("/pods/1/keys")})


@pytest.mark.parametrize(
    ("text", "translated"),
    [
        ("/etc/app", "/pods/1/config"),
        ("/etc/app/", "/pods/1/config/"),
        ("/etc/app/keys/a", "/pods/1/keys/a"),
        ("--file=/etc/app/a.yaml", "--file=/pods/1/config/a.yaml"),
        ("cat /etc/app/a /etc/app/b", "cat /pods/1/config/a /pods/1/config/b"),
        ("/etc/apple", "/etc/apple"),
        ("/etc/app.d/a", "/etc/app.d/a"),
        ("/usr/etc/app", "/usr/etc/app"),
        ("http://host/etc/app", "http://host/etc/app"),
    ],
)
def test_only_whole_mount_paths_are_translated(text: str, translated: str) -> None:
    assert PATHS.translate(text) == translated


def test_without_mounts_nothing_is_translated() -> None:
    assert Paths({}).translate("/etc/app") == "/etc/app"


@pytest.mark.parametrize(
    ("text", "value"),
    [("$(A)-$(B)", "1-$(B)"), ("$$(A)", "$(A)"), ("$A", "$A"), ("$(A)$(A)", "11")],
)
def test_references_are_expanded_as_the_kubelet_does(text: str, value: str) -> None:
    assert expand(text, {"A": "1"}) == value


@pytest.mark.parametrize(
    "image", ["app", "app:1", "host:5000/team/app:1", "host/app@sha256:00", "team/app:1@sha256:00"]
)
def test_image_name_is_the_last_component(image: str) -> None:
    assert image_name(image) == "app"


def test_only_the_tag_missing_cannot_be_pulled() -> None:
    assert pullable("mcp-gateway:missing-link")
    assert not pullable("host:5000/mcp-gateway:missing")


def test_our_programs_run_by_this_interpreter() -> None:
    container = {
        "image": "mcp-gateway:1",
        "command": ["/usr/bin/mcp-gateway", "run", "/etc/app/gateway.yaml"],
        "args": ["--name=$(NAME)"],
    }
    assert command_line(container, {"NAME": "a"}, PATHS) == [
        *(sys.executable, "-m", "mcp_gateway", "run", "/pods/1/config/gateway.yaml", "--name=a")
    ]


def test_image_of_ours_is_its_own_entry_point() -> None:
    container = {"image": "host/mcp-gateway-operator:1", "args": ["run"]}
    assert command_line(container, {}, PATHS) == [
        *(sys.executable, "-m", "mcp_gateway_operator", "run")
    ]


def test_image_of_ours_has_its_default_arguments() -> None:
    words = command_line({"image": "mcp-gateway-operator:1"}, {}, PATHS)
    assert words == [sys.executable, "-m", "mcp_gateway_operator", "run"]


def test_other_programs_stay_as_they_are() -> None:
    assert command_line({"image": "a", "command": ["sleep", "1"]}, {}, PATHS) == ["sleep", "1"]
    python = command_line({"image": "a", "command": ["python3", "-V"]}, {}, PATHS)
    assert python == [sys.executable, "-V"]


def test_environment_has_the_pod_and_nothing_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "x")
    variables = base_environment("127.1.1.1", "pod-1", Path("/pods/1"))
    assert variables["MCP_GATEWAY_BIND"] == "127.1.1.1"
    assert variables["HOSTNAME"] == "pod-1"
    assert "SECRET_OF_MINE" not in variables
