from __future__ import annotations

from tests.support.fake_upstream import connect

from mcp_gateway.upstream.lane import Lanes
from mcp_gateway.upstream.lease import Lease


class Lender:
    """Counts what leases ask of it."""

    def __init__(self) -> None:
        self.taken = 0
        self.refusals = 0

    def take_back(self, lease: Lease) -> None:
        self.taken += 1

    def note_refusal(self, lease: Lease) -> None:
        self.refusals += 1


def lent(lender: Lender) -> Lease:
    connection, _ = connect()
    return Lease(lender, connection, Lanes(10, None).root, 0.25)


async def test_it_is_given_back_once() -> None:
    lender = Lender()
    lease = lent(lender)
    lease.release()
    lease.release()
    assert lender.taken == 1
    assert lease.waited == 0.25


async def test_as_a_context_manager_it_releases_itself() -> None:
    lender = Lender()
    with lent(lender) as lease:
        assert lender.taken == 0
        lease.release()
    assert lender.taken == 1


async def test_a_refusal_is_noted_once_and_only_before_the_release() -> None:
    lender = Lender()
    lease = lent(lender)
    lease.refused()
    lease.refused()
    assert lease.was_refused
    lease.release()
    late = lent(lender)
    late.release()
    late.refused()
    assert lender.refusals == 1
