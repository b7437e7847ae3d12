from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from mcp_gateway.api.secret import SecretReference, SecretSource


def test_a_secret_comes_from_one_place() -> None:
    reference = SecretReference(name="kimi", key="api-key")

    assert SecretSource(secret_ref=reference).secret_ref == reference
    assert SecretSource(env="KIMI_API_KEY").env == "KIMI_API_KEY"
    for given in ({}, {"env": "A", "value": "b"}, {"env": "A", "secretRef": reference}):
        with pytest.raises(ValidationError, match="exactly one of secretRef, env and value"):
            SecretSource.model_validate(given)


def test_a_plain_secret_is_never_shown() -> None:
    source = SecretSource(value=SecretStr("sk-secret"))

    assert source.value is not None
    assert source.value.get_secret_value() == "sk-secret"
    assert "sk-secret" not in repr(source) + source.model_dump_json()


@pytest.mark.parametrize("name", ["../etc", "a/b", "", ".", "A", "a" * 254])
def test_a_secrets_name_stays_in_its_folder(name: str) -> None:
    with pytest.raises(ValidationError):
        SecretReference(name=name, key="k")


@pytest.mark.parametrize("key", ["..", ".", "../k", "a/b", "", "a b"])
def test_a_secrets_key_stays_in_its_folder(key: str) -> None:
    with pytest.raises(ValidationError):
        SecretReference(name="n", key=key)


@pytest.mark.parametrize("key", ["tls.crt", "api-key", "API_KEY"])
def test_keys_are_those_of_kubernetes(key: str) -> None:
    assert SecretReference(name="my.secret-1", key=key).key == key
