"""What a gateway that was started says of itself."""

import json
import signal
from pathlib import Path

import pytest
from tests.integration.cli.command import start

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("host", "told"), [("0.0.0.0", True), ("127.0.0.1", False)])  # noqa: S104
def test_it_says_that_others_reach_it(host: str, told: bool, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    spec = {"server": {"host": host}, "providers": [{"name": "kimi", "type": "simulator"}]}
    kind = {"apiVersion": "gateway.exai.dev/v1alpha1", "kind": "MCPGateway"}
    file.write_text(json.dumps({**kind, "metadata": {"name": "x"}, "spec": spec}))
    arguments = ["run", str(file), "--port", "0", "--admin-port", "0", "--data-dir", str(tmp_path)]
    with start(*arguments) as gateway:
        gateway.wait_for("err", "'Hello!'\n")
        gateway.signal(signal.SIGTERM)
        said = gateway.end().err
    assert ("all addresses of this machine, port " in said) is told
