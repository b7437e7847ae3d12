from __future__ import annotations

from collections import Counter
from random import Random

from mcp_gateway.api.quota import Peer
from mcp_gateway.proxy.peers import AVOID, Ledger, choose


def peer(number: int, share: int = 1) -> Peer:
    return Peer(address=f"10.0.0.{number}:9082", provider="kimi", share=share)


def test_nobody_is_chosen_of_nobody() -> None:
    assert choose([], lambda _: 0, (), Random(0).random) is None


def test_who_holds_no_slot_or_has_no_address_is_not_asked() -> None:
    useless = [peer(1, share=0), Peer(address="", provider="kimi", share=3)]
    assert choose(useless, lambda _: 0, (), Random(0).random) is None


def test_who_was_tried_is_not_tried_again() -> None:
    peers = [peer(1), peer(2)]
    chosen = choose(peers, lambda _: 0, {peers[0].address}, Random(0).random)
    assert chosen is peers[1]


def test_hops_are_spread_by_slots() -> None:
    ledger, peers = Ledger(Random(7).random), [peer(1, share=1), peer(2, share=3)]
    for _ in range(40):
        chosen = ledger.choose(peers, (), 0.0)
        assert chosen is not None
        ledger.begin(chosen)
    assert [ledger.outstanding(each) for each in peers] == [10, 30]


def test_equals_are_chosen_by_chance() -> None:
    random, peers = Random(7).random, [peer(1), peer(2), peer(3)]
    counted = Counter(
        chosen.address
        for _ in range(300)
        if (chosen := choose(peers, lambda _: 0, (), random)) is not None
    )
    assert all(70 <= count <= 130 for count in counted.values()), counted


def test_a_hop_that_is_over_no_longer_counts() -> None:
    ledger, only = Ledger(Random(0).random), peer(1)
    ledger.begin(only)
    ledger.begin(only)
    ledger.end(only)
    assert ledger.outstanding(only) == 1
    ledger.end(only)
    assert ledger.outstanding(only) == 0


def test_models_are_counted_one_by_one() -> None:
    ledger = Ledger(Random(0).random)
    large = Peer(address="10.0.0.1:9082", provider="glm", model="glm-5", share=1)
    small = Peer(address="10.0.0.1:9082", provider="glm", model="glm-5-air", share=1)
    ledger.begin(large)
    assert (ledger.outstanding(large), ledger.outstanding(small)) == (1, 0)


def test_who_could_not_be_reached_is_avoided_for_a_moment() -> None:
    ledger, away, here = Ledger(Random(0).random), peer(1, share=100), peer(2)
    assert ledger.unreachable(away, 9.9)
    assert not ledger.unreachable(away, 10.0), "it is no news"
    assert ledger.choose([away, here], (), 10.0) is here
    assert ledger.choose([away, here], (), 10.0 + AVOID) is away


def test_who_could_not_be_reached_is_asked_where_there_is_no_other() -> None:
    ledger, away = Ledger(Random(0).random), peer(1)
    ledger.unreachable(away, 10.0)
    assert ledger.choose([away], (), 10.0) is away
    assert ledger.choose([away], {away.address}, 10.0) is None
