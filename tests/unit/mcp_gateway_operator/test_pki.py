from __future__ import annotations

import ssl

import pytest
from cryptography import x509

from mcp_gateway_operator import pki

NOW = 1_800_000_000.0
DAY = 86_400.0
NAME = pki.server_name("team-a", "web")


@pytest.fixture(scope="module")
def authority() -> pki.Authority:
    return pki.authority(None, NOW)


def certificate(data: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(data)


def test_an_authority_is_kept_as_it_is(authority: pki.Authority) -> None:
    assert pki.authority(authority.data(), NOW + 200 * DAY) == authority
    assert "key" not in repr(authority).replace("key=", "")


def test_an_authority_is_renewed_before_its_end_and_stays_believed(
    authority: pki.Authority,
) -> None:
    renewed = pki.authority(authority.data(), NOW + 250 * DAY)

    assert renewed.certificate != authority.certificate
    assert renewed.former == authority.certificate
    assert renewed.bundle.count("BEGIN CERTIFICATE") == 2
    assert pki.authority(renewed.data(), NOW + 251 * DAY) == renewed
    assert len(ssl.create_default_context(cadata=renewed.bundle).get_ca_certs()) >= 1


def test_an_authority_past_its_end_is_believed_no_longer(authority: pki.Authority) -> None:
    assert pki.authority(authority.data(), NOW + 366 * DAY).former == b""


@pytest.mark.parametrize("key", [pki.CERTIFICATE, pki.KEY, pki.FORMER])
def test_a_spoiled_authority_is_made_anew(key: str, authority: pki.Authority) -> None:
    spoiled = {**authority.data(), key: b"no PEM"}

    assert pki.authority(spoiled, NOW).certificate != authority.certificate


def test_a_key_of_another_authority_is_no_authority(authority: pki.Authority) -> None:
    other = pki.authority(None, NOW)
    mixed = {**authority.data(), pki.KEY: other.key}

    assert pki.authority(mixed, NOW).certificate not in (authority.certificate, other.certificate)


def test_a_control_secret_has_what_a_pod_needs(authority: pki.Authority) -> None:
    data = pki.control_data(authority, NAME, None, NOW)

    assert sorted(data) == ["ca.crt", "tls.crt", "tls.key", "token"]
    assert len(data["token"]) >= 40
    served = certificate(data["tls.crt"])
    served.verify_directly_issued_by(certificate(authority.certificate))
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME]
    assert authority.key not in data.values(), "the authority's key stays with the operator"


def test_what_is_good_stays_as_it_is(authority: pki.Authority) -> None:
    data = pki.control_data(authority, NAME, None, NOW)

    assert pki.control_data(authority, NAME, data, NOW + 59 * DAY) == data


def test_a_certificate_is_renewed_before_its_end_and_the_token_stays(
    authority: pki.Authority,
) -> None:
    data = pki.control_data(authority, NAME, None, NOW)
    later = pki.control_data(authority, NAME, data, NOW + 61 * DAY)

    assert later["tls.crt"] != data["tls.crt"]
    assert later["token"] == data["token"]


def test_a_removed_token_is_replaced_and_the_certificate_stays(authority: pki.Authority) -> None:
    data = pki.control_data(authority, NAME, None, NOW)
    later = pki.control_data(authority, NAME, {**data, "token": b" \n"}, NOW)

    assert later["token"] not in (b"", data["token"])
    assert later["tls.crt"] == data["tls.crt"]


def test_a_certificate_of_another_name_authority_or_key_is_replaced(
    authority: pki.Authority,
) -> None:
    data = pki.control_data(authority, NAME, None, NOW)
    other = pki.control_data(authority, NAME, None, NOW)
    renewed = pki.authority(authority.data(), NOW + 250 * DAY)
    for by, name, held in (
        (authority, pki.server_name("team-b", "web"), data),
        (renewed, NAME, data),
        (authority, NAME, {**data, "tls.key": other["tls.key"]}),
        (authority, NAME, {**data, "tls.crt": b"-----BEGIN CERTIFICATE-----\n"}),
        (authority, NAME, {**data, "tls.crt": authority.certificate, "tls.key": authority.key}),
    ):
        now = NOW + 250 * DAY if by is renewed else NOW
        assert pki.control_data(by, name, held, now)["tls.crt"] != held["tls.crt"]


def test_a_renewed_authority_signs_anew_only_when_every_pod_has_heard_of_it(
    authority: pki.Authority,
) -> None:
    moment = NOW + 250 * DAY
    data = pki.control_data(authority, NAME, None, moment - DAY)
    renewed = pki.authority(authority.data(), moment)
    at_once = pki.control_data(renewed, NAME, data, moment)
    later = pki.control_data(renewed, NAME, at_once, moment + pki.HEARD.total_seconds())

    assert at_once["ca.crt"].decode() == renewed.bundle
    assert at_once["tls.crt"] == data["tls.crt"]
    fresh = pki.control_data(renewed, NAME, None, moment)
    assert pki.control_data(renewed, NAME, fresh, moment) == fresh
    assert later["tls.crt"] != data["tls.crt"]
    new, signer = certificate(later["tls.crt"]), certificate(renewed.certificate)
    new.verify_directly_issued_by(signer)


def test_a_renewed_authority_is_handed_out(authority: pki.Authority) -> None:
    renewed = pki.authority(authority.data(), NOW + 250 * DAY)
    data = pki.control_data(renewed, NAME, None, NOW + 250 * DAY)

    assert data["ca.crt"].decode() == renewed.bundle


def test_each_gateway_has_a_name_of_its_own() -> None:
    assert pki.server_name("team-a", "web") == "web.team-a.mcp-gateway.internal"
    long = {pki.server_name("n", "a" * 250), pki.server_name("n", "b" * 100 + ".c")}
    assert len(long) == 2
    assert all(len(label) <= 63 for name in long for label in name.split("."))
