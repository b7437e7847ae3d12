from __future__ import annotations

import json

import pytest
import yaml

from mcp_gateway import cli


def test_yaml_and_json_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["crd"]) == 0
    definition = yaml.safe_load(capsys.readouterr().out)
    assert cli.main(["crd", "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == definition
    assert definition["kind"] == "CustomResourceDefinition"
    assert definition["spec"]["names"]["kind"] == "MCPGateway"
