from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcp_gateway import cli
from mcp_gateway.cli import run, service
from mcp_gateway.cli.service import Place


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """The place that a command line leads to, instead of a gateway that runs there."""
    for variable in ("MCP_GATEWAY_SECRETS_DIR", "MCP_GATEWAY_DATA_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    places: list[Place] = []

    def run_service(place: Place, *_: Any, **__: Any) -> int:
        places.append(place)
        return 0

    monkeypatch.setattr(service, "run_service", run_service)
    return places


def test_the_document_is_enough(place: list[Place]) -> None:
    assert cli.main(["run", "gateway.yaml"]) == 0

    home = Path.home() / ".local" / "state" / "mcp-gateway"
    assert place == [Place(Path("gateway.yaml"), None, home, {})]


def test_options_win_over_the_environment(
    place: list[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_GATEWAY_SECRETS_DIR", "/env/secrets")
    monkeypatch.setenv("MCP_GATEWAY_DATA_DIR", "/env/data")
    cli.main(["run", "g.yaml"])
    cli.main(["run", "g.yaml", "--secrets-dir", "/s", "--data-dir", "/d", "--port", "0"])

    assert place[0] == Place(Path("g.yaml"), Path("/env/secrets"), Path("/env/data"), {})
    assert place[1] == Place(Path("g.yaml"), Path("/s"), Path("/d"), {"port": 0})


def test_the_states_folder_of_the_desktop_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCP_GATEWAY_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "/state")

    assert run.data_dir() == Path("/state/mcp-gateway")
