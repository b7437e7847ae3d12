from pathlib import Path

import pytest

from mcp_gateway.config.control_folder import ControlFolder
from mcp_gateway.errors import ConfigError


def test_the_token_is_read_without_the_white_space_around_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("  s3cret\n")
    (tmp_path / "ca.crt").write_text("PEM\n")
    folder = ControlFolder(tmp_path)
    assert (folder.read_token(), folder.read_authority()) == ("s3cret", "PEM")
    assert {file.name for file in folder.files} == {"tls.crt", "tls.key", "token", "ca.crt"}


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_what_is_no_token_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match="token"):
        ControlFolder(tmp_path).read_token()
