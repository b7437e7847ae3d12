from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.fake_upstream import FakeConnector

from mcp_gateway.config.control_folder import ControlFolder
from mcp_gateway.errors import ConfigError
from mcp_gateway.proxy.peer_ways import FORGET, MAX_WAYS, PeerWays, server_name
from mcp_gateway_operator import pki

NAME = pki.server_name("default", "web")
ADDRESS = "10.0.0.1:9082"


class Folder:
    """The fleet's files, as an operator writes them."""

    def __init__(self, path: Path) -> None:
        self.files = ControlFolder(path)
        self.authority = pki.authority(None, time.time())
        self.write()

    def write(self, name: str = NAME, **changed: bytes) -> None:
        data = pki.control_data(self.authority, name, changed, time.time())
        for file, value in data.items():
            (self.files.folder / file).write_bytes(value)


class Made:
    """Remembers what connectors were made."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, *, server_name: str, **_: object) -> FakeConnector:
        self.names.append(server_name)
        return FakeConnector()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def made() -> Made:
    return Made()


@pytest.fixture
async def ways(folder: Folder, made: Made) -> AsyncIterator[PeerWays]:
    kept = PeerWays(folder.files, made)
    yield kept
    await kept.aclose()


def test_the_name_to_expect_is_that_of_our_own_certificate(folder: Folder) -> None:
    assert server_name(folder.files, folder.files.read_authority()) == NAME


def test_a_certificate_of_another_authority_is_not_used(folder: Folder) -> None:
    other = pki.authority(None, time.time()).bundle
    with pytest.raises(ConfigError, match="cannot be used"):
        server_name(folder.files, other)


async def test_the_certificate_is_expected_to_bear_that_name(ways: PeerWays, made: Made) -> None:
    assert made.names == [NAME]
    way = ways.to(ADDRESS, 0.0)
    assert way is not None
    assert str(way.endpoint) == f"https://{ADDRESS}"


async def test_a_way_is_kept(ways: PeerWays) -> None:
    assert ways.to(ADDRESS, 0.0) is ways.to(ADDRESS, 1.0)


@pytest.mark.parametrize("address", ["", "10.0.0.1:0", "a b:1", "user@host:1", "[::1"])
async def test_what_is_no_address_leads_nowhere(address: str, ways: PeerWays) -> None:
    assert ways.to(address, 0.0) is None


async def test_ways_are_bounded_and_those_not_taken_are_forgotten(ways: PeerWays) -> None:
    for number in range(MAX_WAYS):
        assert ways.to(f"10.0.{number // 200}.{number % 200}:9082", 0.0) is not None
    assert ways.to("10.9.9.9:9082", 1.0) is None
    assert ways.to("10.9.9.9:9082", FORGET + 1.0) is not None


async def test_another_authority_makes_the_ways_anew(
    ways: PeerWays, folder: Folder, made: Made
) -> None:
    before = ways.to(ADDRESS, 0.0)
    folder.authority = pki.authority(None, time.time())
    folder.write()
    ways.reload()
    assert len(made.names) == 2
    assert ways.to(ADDRESS, 0.0) is not before


async def test_a_renewed_certificate_leaves_the_ways_as_they_are(
    ways: PeerWays, folder: Folder, made: Made
) -> None:
    before = ways.to(ADDRESS, 0.0)
    folder.write()
    ways.reload()
    assert len(made.names) == 1
    assert ways.to(ADDRESS, 0.0) is before


async def test_files_that_are_wrong_leave_what_was_read_before(
    ways: PeerWays, folder: Folder
) -> None:
    before = ways.tokens
    (folder.files.folder / "tls.crt").write_text("half a file")
    ways.reload()
    assert ways.tokens == before
    assert ways.to(ADDRESS, 0.0) is not None


async def test_a_folder_without_an_authority_leads_nowhere_and_hurts_nobody(
    folder: Folder, made: Made
) -> None:
    folder.files.authority_file.unlink()
    ways = PeerWays(folder.files, made)
    assert ways.to(ADDRESS, 0.0) is None
    folder.write()
    ways.reload()
    assert ways.to(ADDRESS, 0.0) is not None
    await ways.aclose()


async def test_a_token_that_is_refused_gives_way_to_the_former(
    ways: PeerWays, folder: Folder
) -> None:
    former = folder.files.read_token()
    way = ways.to(ADDRESS, 0.0)
    assert way is not None
    folder.write(token=b"new")
    ways.reload()
    assert ways.token(way) == "new"
    ways.token_refused(way, "new")
    assert ways.token(way) == former
    ways.token_refused(way, former)
    assert ways.token(way) == "new"
