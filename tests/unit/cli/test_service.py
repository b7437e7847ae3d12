from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcp_gateway.cli.service import Place, Service, command_name
from mcp_gateway.config.problem import InvalidDocument
from mcp_gateway.errors import ConfigError

DOCUMENT = """\
apiVersion: gateway.exai.dev/v1alpha1
kind: MCPGateway
spec:
  server: {host: 127.0.0.1, port: 8079, adminPort: 9079}
  auth: {anonymous: true}
  providers:
  - {name: kimi, type: simulator}
"""


def service(tmp_path: Path, text: str = DOCUMENT, **server: Any) -> Service:
    file = tmp_path / "gateway.yaml"
    file.write_text(text, encoding="utf-8")
    return Service(Place(file, None, tmp_path, server), {})


def test_the_document_is_read_as_it_is(tmp_path: Path) -> None:
    assert service(tmp_path).load().document.spec.server.port == 8079


def test_the_command_line_wins_over_the_document(tmp_path: Path) -> None:
    document = service(tmp_path, port=0, admin_port=0).load().document

    assert (document.spec.server.port, document.spec.server.admin_port) == (0, 0)
    assert document.spec.auth.anonymous
    assert document.spec.providers[0].name == "kimi"


@pytest.mark.parametrize("server", [{"host": "0.0.0.0"}, {"port": 9079}, {"port": 99_999}])  # noqa: S104
def test_the_rules_hold_for_what_the_command_line_says(
    server: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"--host, --port, --admin-port: \w+"):
        service(tmp_path, **server).load()


def test_a_wrong_document_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument):
        service(tmp_path, DOCUMENT.replace("kind", "kint")).load()


def test_the_program_is_told_as_a_person_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "mcp-gateway"
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "other"))

    assert command_name(str(program)) == str(program)
    assert command_name("/where/mcp_gateway/__main__.py") == "mcp-gateway"

    monkeypatch.setenv("PATH", str(program.parent))
    assert command_name(str(program)) == "mcp-gateway"
