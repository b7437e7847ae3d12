from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from mcp_gateway.errors import ConfigError
from mcp_gateway.server.tls import Certificate


def write(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """Issue a certificate into two files."""
    issued = trustme.CA().issue_cert(name)
    cert, key = folder / "tls.crt", folder / "tls.key"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    return cert, key


def test_a_certificate_is_loaded_and_reloaded(tmp_path: Path) -> None:
    certificate = Certificate(*write(tmp_path))
    assert certificate.context.minimum_version is ssl.TLSVersion.TLSv1_2
    context = certificate.context
    write(tmp_path, "other")
    assert certificate.reload()
    assert certificate.context is context


def test_a_pair_that_does_not_fit_keeps_the_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = write(tmp_path)
    certificate = Certificate(cert, key)
    # Between the writes of the two files a reader sees one new and one old.
    other = trustme.CA().issue_cert("other")
    other.cert_chain_pems[0].write_to_path(cert)
    with caplog.at_level(logging.ERROR):
        assert not certificate.reload()
    other.private_key_pem.write_to_path(key)
    assert certificate.reload()
    assert "certificate not reloaded" in caplog.text


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_a_start_without_a_certificate_fails_with_its_name(
    tmp_path: Path, content: bytes | None
) -> None:
    cert, key = write(tmp_path)
    if content is None:
        cert.unlink()
    else:
        cert.write_bytes(content)
    with pytest.raises(ConfigError, match=r"tls\.crt"):
        Certificate(cert, key)


def test_a_key_with_a_passphrase_fails_instead_of_asking(tmp_path: Path) -> None:
    cert, key = write(tmp_path)
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ConfigError):
        Certificate(cert, key)
