from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from mcp_gateway.api import MCPGateway, Provider, SecretReference, SecretSource, Spec
from mcp_gateway.config.secrets import MAX_BYTES, SecretReader
from mcp_gateway.errors import ConfigError

REFERENCE = SecretSource(secret_ref=SecretReference(name="kimi", key="api-key"))
VARIABLE = SecretSource(env="KIMI_API_KEY")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kimi").mkdir()
    (tmp_path / "kimi" / "api-key").write_text("sk-file\n", encoding="utf-8")
    return tmp_path


def test_a_secret_is_a_file(folder: Path) -> None:
    assert SecretReader(folder, {}).read(REFERENCE) == "sk-file"


def test_a_secret_is_read_anew_each_time(folder: Path) -> None:
    reader = SecretReader(folder, {})
    reader.read(REFERENCE)

    (folder / "kimi" / "api-key").write_text("sk-new", encoding="utf-8")

    assert reader.read(REFERENCE) == "sk-new"


def test_a_secret_is_a_variable_or_the_file_of_its_name(folder: Path) -> None:
    (folder / "KIMI_API_KEY").write_text("sk-fallback", encoding="utf-8")

    assert SecretReader(folder, {"KIMI_API_KEY": " sk-env\n"}).read(VARIABLE) == "sk-env"
    assert SecretReader(folder, {}).read(VARIABLE) == "sk-fallback"


def test_a_secret_is_a_value() -> None:
    reader = SecretReader(None, {})

    assert reader.read(SecretSource(value=SecretStr("sk-plain"))) == "sk-plain"
    with pytest.raises(ConfigError, match="empty"):
        reader.read(SecretSource(value=SecretStr("  ")))


def test_a_missing_secret_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"key api-key of Secret kimi: .*--secrets-dir DIR"):
        SecretReader(None, {}).read(REFERENCE)
    with pytest.raises(ConfigError, match=rf"expected it in the file {tmp_path}/kimi/api-key"):
        SecretReader(tmp_path, {}).read(REFERENCE)
    with pytest.raises(ConfigError, match=r"KIMI_API_KEY is not set: export .*--secrets-dir DIR"):
        SecretReader(None, {}).read(VARIABLE)
    with pytest.raises(ConfigError, match=rf"the file {tmp_path}/KIMI_API_KEY$"):
        SecretReader(tmp_path, {"KIMI_API_KEY": ""}).read(VARIABLE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff", "UTF-8"),
        (b"x" * (MAX_BYTES + 1), "larger"),
    ],
)
def test_a_file_that_holds_no_secret_is_told(folder: Path, data: bytes, message: str) -> None:
    (folder / "kimi" / "api-key").write_bytes(data)

    with pytest.raises(ConfigError, match=message):
        SecretReader(folder, {}).read(REFERENCE)


def test_a_file_that_can_not_be_read_is_told(folder: Path) -> None:
    os.unlink(folder / "kimi" / "api-key")
    (folder / "kimi" / "api-key").mkdir()

    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        SecretReader(folder, {}).read(REFERENCE)


def test_files_to_watch_are_those_that_are_read(folder: Path) -> None:
    providers = [
        Provider(name=name, type="simulator", api_key=source)
        for name, source in (
            ("a", REFERENCE),
            ("b", REFERENCE),
            ("c", VARIABLE),
            ("d", SecretSource(env="SET")),
            ("e", SecretSource(value=SecretStr("x"))),
        )
    ]
    document = MCPGateway.of(Spec(providers=providers))

    assert SecretReader(folder, {"SET": "1"}).files(document) == [
        folder / "kimi" / "api-key",
        folder / "KIMI_API_KEY",
    ]
    assert SecretReader(None, {}).files(document) == []


def test_everything_that_is_missing_is_told_at_once(folder: Path) -> None:
    document = MCPGateway(
        spec=Spec.model_validate(
            {
                "auth": {"apiKeys": {"secretRef": {"name": "clients", "key": "keys"}}},
                "providers": [
                    {"name": "kimi", "type": "kimi", "apiKey": REFERENCE},
                    {"name": "spare", "type": "kimi", "apiKey": VARIABLE},
                ],
                "recording": {
                    "enabled": False,
                    "supabase": {"url": "https://a.example", "key": {"env": "SUPABASE_KEY"}},
                },
            }
        )
    )

    problems = SecretReader(folder, {}).problems(document)

    assert [problem.path for problem in problems] == [
        "spec.auth.apiKeys",
        "spec.providers[1].apiKey",
    ]
    assert "clients/keys" in problems[0].message
