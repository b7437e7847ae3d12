"""The certificates and tokens of the control channel: made, renewed and replaced here.

The operator is its own authority, because nobody else verifies but the pods themselves: both dial
pods by address and demand a certificate that names their gateway. An authority that is renewed
leaves its former certificate in the bundle, so pods whose files the kubelet has not yet updated
are still believed; and it signs nothing anew before all pods have heard of it, so that those whose
files are old believe the others. Nobody but the operator ever sees an authority's key.

All functions are pure but for randomness; `now` is Unix time.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DOMAIN: Final = "mcp-gateway.internal"
AUTHORITY_DAYS: Final = 365
SERVING_DAYS: Final = 90
USED: Final = 2 / 3
"""The part of its life after which a certificate is replaced."""
SKEW: Final = timedelta(hours=1)
"""So long ago a certificate begins, for clocks that are behind."""
HEARD: Final = timedelta(hours=1)
"""After so long every pod has the files that were written: the kubelet takes about a minute."""

CERTIFICATE, KEY, FORMER = "tls.crt", "tls.key", "former.crt"
TOKEN, AUTHORITY = "token", "ca.crt"

_LABEL: Final = 63
_NAME: Final = 253


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that others are signed with.

    Attributes:
        certificate: PEM.
        key: PEM.
        former: PEM of the one before, which is still believed; empty where there is none.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    former: bytes = b""

    @property
    def bundle(self) -> str:
        """All that is believed, in PEM."""
        return (self.certificate + self.former).decode()

    def data(self) -> dict[str, bytes]:
        """What a Secret keeps of it."""
        return {CERTIFICATE: self.certificate, KEY: self.key, FORMER: self.former}


def server_name(namespace: str, name: str) -> str:
    """The name that a gateway's certificate is made out to. Not a name of any DNS.

    Each gateway has its own, so a pod of one cannot pass for a pod of another.
    """
    whole = f"{name}.{namespace}.{DOMAIN}"
    if len(whole) <= _NAME and all(len(label) <= _LABEL for label in whole.split(".")):
        return whole
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()[:40]
    return f"{digest}.{DOMAIN}"


def authority(data: Mapping[str, bytes] | None, now: float) -> Authority:
    """Return the authority that a Secret's data holds, renewed or made anew where it must be.

    The caller stores `data()` where it differs from what was given.
    """
    current = _load(data) if data else None
    if current is None:
        return _make(now)
    certificate = x509.load_pem_x509_certificate(current.certificate)
    moment = _moment(now)
    if moment >= certificate.not_valid_after_utc:
        return _make(now)
    if _due(certificate, moment):
        return _make(now, former=current.certificate)
    return current


def control_data(
    authority: Authority, name: str, current: Mapping[str, bytes] | None, now: float
) -> dict[str, bytes]:
    """Return what a gateway's control Secret is to hold: token, certificate, key, authority.

    What is good in `current` stays as it is: with nothing to renew, the result equals it.

    Args:
        authority: signs.
        name: of `server_name`.
        current: what the Secret holds now; None where there is none.
        now: Unix time.
    """
    held = current or {}
    token = held.get(TOKEN, b"").strip() or secrets.token_urlsafe(32).encode()
    pair = {CERTIFICATE: held.get(CERTIFICATE, b""), KEY: held.get(KEY, b"")}
    if not _serves(authority, name, pair, _moment(now)):
        pair = _issue(authority, name, now)
    return {TOKEN: token, **pair, AUTHORITY: authority.bundle.encode()}


def _make(now: float, former: bytes = b"") -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    # A number in the name tells two authorities of one operator apart, in logs and in chains.
    subject = _subject(f"mcp-gateway-operator {secrets.token_hex(4)}")
    builder = _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs=True), critical=True)
    builder = builder.add_extension(_identifier(key.public_key()), critical=False)
    return Authority(_pem(builder.sign(key, hashes.SHA256())), _pem_key(key), former)


def _issue(authority: Authority, name: str, now: float) -> dict[str, bytes]:
    signer = x509.load_pem_x509_certificate(authority.certificate)
    signer_key = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signer_key, ec.EllipticCurvePrivateKey), "made by this module"
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(_subject("mcp-gateway"), signer.subject, key.public_key(), now, SERVING_DAYS)
    identifier = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(signs=False), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([x509.DNSName(name)]), False),
        (_identifier(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return {CERTIFICATE: _pem(builder.sign(signer_key, hashes.SHA256())), KEY: _pem_key(key)}


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: float,
    days: int,
) -> x509.CertificateBuilder:
    moment = _moment(now)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - SKEW)
        .not_valid_after(moment + timedelta(days=days))
    )


def _load(data: Mapping[str, bytes]) -> Authority | None:
    """The authority in a Secret's data; None where somebody spoiled it."""
    found = Authority(data.get(CERTIFICATE, b""), data.get(KEY, b""), data.get(FORMER, b""))
    try:
        certificate = x509.load_pem_x509_certificate(found.certificate)
        key = serialization.load_pem_private_key(found.key, None)
        if found.former:
            x509.load_pem_x509_certificate(found.former)
    except (ValueError, TypeError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    return found if certificate.public_key() == key.public_key() else None


def _serves(authority: Authority, name: str, pair: Mapping[str, bytes], moment: datetime) -> bool:
    """Tell whether a certificate and its key can go on serving."""
    try:
        certificate = x509.load_pem_x509_certificate(pair[CERTIFICATE])
        key = serialization.load_pem_private_key(pair[KEY], None)
        _issuer(authority, certificate, moment)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        names.get_values_for_type(x509.DNSName) == [name]
        and certificate.public_key() == key.public_key()
        and not _due(certificate, moment)
    )


def _issuer(authority: Authority, certificate: x509.Certificate, moment: datetime) -> None:
    """Check who signed a certificate.

    Raises:
        InvalidSignature, ValueError: not the authority, nor the one before while that still counts.
    """
    signer = x509.load_pem_x509_certificate(authority.certificate)
    if authority.former and moment < signer.not_valid_before_utc + SKEW + HEARD:
        former = x509.load_pem_x509_certificate(authority.former)
        if certificate.issuer == former.subject:
            signer = former
    certificate.verify_directly_issued_by(signer)


def _due(certificate: x509.Certificate, moment: datetime) -> bool:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return moment < begin or moment >= begin + (end - begin) * USED


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _identifier(key: ec.EllipticCurvePublicKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(key)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(int(now), UTC)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
