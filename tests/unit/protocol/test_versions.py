from __future__ import annotations

import pytest

from mcp_gateway.protocol.versions import (
    ASSUMED_REVISION,
    HANDSHAKE_REVISIONS,
    STATELESS_REVISIONS,
    Era,
    Revision,
    every_revision,
    handshake_revision,
    negotiate,
    stateless_revision,
)


def test_every_revision_belongs_to_exactly_one_era() -> None:
    assert sorted([*HANDSHAKE_REVISIONS, *STATELESS_REVISIONS]) == sorted(Revision)
    assert [era.value for era in Era] == ["handshake", "stateless"]


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_handshake_revisions_are_known_by_name_in_their_era_only(revision: Revision) -> None:
    assert handshake_revision(str(revision)) is revision
    assert stateless_revision(str(revision)) is None


@pytest.mark.parametrize("revision", STATELESS_REVISIONS)
def test_stateless_revisions_are_known_by_name_in_their_era_only(revision: Revision) -> None:
    assert stateless_revision(str(revision)) is revision
    assert handshake_revision(str(revision)) is None


@pytest.mark.parametrize("revision", HANDSHAKE_REVISIONS)
def test_a_served_handshake_revision_is_granted(revision: Revision) -> None:
    assert negotiate(str(revision)) is revision


@pytest.mark.parametrize("asked", ["2026-07-28", "1900-01-01", "9999-12-31", "", "2025-11-25 "])
def test_any_other_revision_is_answered_with_the_newest_of_the_handshake(asked: str) -> None:
    assert negotiate(asked) is Revision.R2025_11_25


def test_a_missing_header_stands_for_the_last_revision_that_had_none() -> None:
    assert ASSUMED_REVISION is Revision.R2025_03_26


def test_revisions_are_listed_oldest_first_as_plain_text() -> None:
    assert every_revision() == [
        "2024-11-05",
        "2025-03-26",
        "2025-06-18",
        "2025-11-25",
        "2026-07-28",
    ]
