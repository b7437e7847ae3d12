"""What a process may use of its accounts, from nothing to a grant and back to the document."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.unit.proxy.governed import NOW, Process, glm, kimi

from mcp_gateway.api.control import Grant
from mcp_gateway.api.quota import Peer, Quota
from mcp_gateway.errors import Misdirected
from mcp_gateway.providers.base import ChatCall
from mcp_gateway.proxy.governor import REASONS, Standing
from mcp_gateway.upstream.lane import FIRST_LIMIT

CALL = ChatCall(model="m", fields={"messages": msgspec.Raw(b"[]")})


async def test_a_stated_limit_is_not_used_before_it_is_granted() -> None:
    process = Process(kimi(concurrency=100, requestsPerMinute=500, tokensPerMinute=1000))
    assert process.limit("kimi") == 0
    assert process["kimi"].rates.requests_per_minute == 0
    assert process["kimi"].rates.tokens_per_minute == 0
    assert process["kimi"].holds_nothing("kimi-k2")
    assert process.governor.standing(process["kimi"]) is Standing.NOTHING


async def test_a_limit_that_nobody_knows_begins_small() -> None:
    process = Process(kimi(requestsPerMinute=500), glm())
    assert process.limit("kimi") == FIRST_LIMIT
    assert process.limit("glm", "glm-5") == FIRST_LIMIT
    assert process.limit("glm") > 1000, "an account of limited models is not limited itself"


async def test_a_stated_model_waits_for_its_grant() -> None:
    process = Process(glm(byModel={"glm-5": {"concurrency": 30}}))
    assert process.limit("glm", "glm-5") == 0
    process.grant(Quota(provider="glm", model="glm-5", share=7), Quota(provider="glm", model="x"))
    assert process.limit("glm", "glm-5") == 7
    assert process.limit("glm", "glm-4.6") == FIRST_LIMIT
    process.grant()
    assert process.limit("glm", "glm-5") == 0, "a grant is whole"


async def test_a_grant_sets_shares_rates_and_what_is_kept_warm() -> None:
    process = Process(kimi(concurrency=100, requestsPerMinute=500))
    process.grant(Quota(provider="kimi", share=25, requests_per_minute=120, warm=9))
    kimi_ = process["kimi"]
    assert process.limit("kimi") == 25
    assert kimi_.rates.requests_per_minute == 120
    assert kimi_.pool.stats().warm == 9
    assert kimi_.pool.lanes.root.limit.governed
    assert not kimi_.holds_nothing("kimi-k2")
    process.grant(Quota(provider="kimi", share=25, requests_per_minute=0))
    assert kimi_.holds_nothing("kimi-k2"), "a slot without a rate is of no use"


async def test_only_another_grant_ends_a_cut() -> None:
    process = Process()
    process.grant(Quota(provider="kimi", share=10))
    process.lane("kimi").limit.refused(4)
    process.apply(kimi())
    assert process.limit("kimi") == 4
    process.grant(Quota(provider="kimi", share=10))
    assert process.limit("kimi") == 10


async def test_without_an_operator_every_pod_takes_what_all_can_take() -> None:
    stated = {"glm-5": {"concurrency": 30}}
    process = Process(kimi(concurrency=100, requestsPerMinute=500), glm(byModel=stated))
    process.governor.leave_alone()
    assert process.limit("kimi") == 25
    assert process["kimi"].rates.requests_per_minute == 125
    assert process.limit("glm", "glm-5") == 7
    assert process.limit("glm", "other") == FIRST_LIMIT
    assert process.governor.standing(process["kimi"]) is Standing.BOOTSTRAP
    process.governor.hear()
    assert process.limit("kimi") == 25, "a word is not a grant"
    process.grant(Quota(provider="kimi", share=3))
    assert process.limit("kimi") == 3
    assert process.limit("glm", "glm-5") == 0


async def test_fewer_slots_than_pods_are_nobodys_without_an_operator() -> None:
    process = Process(kimi(concurrency=1, requestsPerMinute=3))
    process.governor.leave_alone()
    assert process.limit("kimi") == 0
    assert process["kimi"].rates.requests_per_minute == 0


async def test_who_was_granted_something_does_not_help_itself() -> None:
    process = Process()
    process.grant(Quota(provider="kimi", share=0))
    process.governor.leave_alone()
    assert process.limit("kimi") == 0


async def test_without_an_operator_a_cut_recovers_up_to_the_share() -> None:
    process = Process()
    process.grant(Quota(provider="kimi", share=10))
    limit = process.lane("kimi").limit
    limit.refused(4)
    process.governor.give_up()
    for second in range(300):
        limit.probe(1000.0 + second, 5, limit.limit)
    assert limit.limit == 10
    process.grant(Quota(provider="kimi", share=10))
    assert limit.governed


async def test_another_key_is_another_account_and_has_no_share() -> None:
    process = Process()
    process.grant(
        Quota(provider="kimi", share=10), peers=[Peer(address="a:1", provider="kimi", share=3)]
    )
    before = process["kimi"].identity
    process.apply(kimi("sk-2"))
    assert process["kimi"].identity != before
    assert process.limit("kimi") == 0
    assert process["kimi"].peers("kimi-k2") == ()
    late = Quota(provider="kimi", share=10, account=before)
    process.grant(late)
    assert process.limit("kimi") == 0, "what is meant for the former account is not taken"
    process.grant(Quota(provider="kimi", share=10, account=process["kimi"].identity))
    assert process.limit("kimi") == 10


async def test_a_former_key_that_comes_back_was_granted_nothing() -> None:
    process = Process(kimi(), glm())
    process.grant(Quota(provider="kimi", share=10), Quota(provider="glm", model="m", share=3))
    process.apply(kimi("sk-2"), glm())
    assert process.governor.accounts() == {"glm": process["glm"].identity}
    process.apply(kimi(), glm())
    assert process.limit("kimi") == 0, "what was granted before may be others' by now"
    assert process.limit("glm", "m") == 3


async def test_a_provider_that_comes_back_was_granted_nothing() -> None:
    process = Process()
    process.grant(Quota(provider="kimi", share=10))
    process.apply(glm())
    process.apply(glm(), kimi())
    assert process.limit("kimi") == 0


async def test_off_means_the_documents_numbers_at_once() -> None:
    process = Process(
        kimi(concurrency=100, requestsPerMinute=500), glm(byModel={"glm-5": {"concurrency": 30}})
    )
    process.grant(Quota(provider="kimi", share=10, requests_per_minute=50, warm=5))
    process.apply(
        kimi(concurrency=100, requestsPerMinute=500),
        glm(byModel={"glm-5": {"concurrency": 30}}),
        mode="Off",
    )
    assert not process["kimi"].governed
    assert process.limit("kimi") == process["kimi"].pool.lanes.capacity == 25
    assert process.lane("kimi").limit.share == 100
    assert process["kimi"].rates.requests_per_minute == 500
    assert process["kimi"].pool.stats().warm == 0
    assert process.lane("glm", "glm-5").limit.share == 30
    process.apply(kimi(concurrency=100, requestsPerMinute=500))
    assert process.limit("kimi") == 0, "what was granted before may be others' by now"


@pytest.mark.parametrize("mode", ["Off", "Recommend"])
async def test_only_auto_is_governed(mode: str) -> None:
    process = Process(mode=mode)
    process.grant(Quota(provider="kimi", share=3))
    assert process.limit("kimi") == 25
    assert process.governor.standing(process["kimi"]) is Standing.DOCUMENT


async def test_alone_the_document_counts() -> None:
    assert Process(in_fleet=False).limit("kimi") == 100


async def test_an_address_that_changes_does_not_double_the_share() -> None:
    process = Process()
    process.grant(Quota(provider="kimi", share=10))
    root = process.lane("kimi")
    root.in_flight = 6
    process.apply({**kimi(), "timeouts": {"connect": "1s"}})
    assert process.lane("kimi") is root, "what drains counts under the limit of what begins"
    assert process.limit("kimi") == 10
    assert process.accounts.retired == []
    root.in_flight = 0


async def test_a_restored_grant_counts_for_its_account_only() -> None:
    first = Process(kimi(concurrency=9, requestsPerMinute=60))
    first.grant(Quota(provider="kimi", share=4, requests_per_minute=30))
    kept = first.governor.grant
    assert kept is not None

    again = Process(in_fleet=True, mode="Off")
    again.governor.restore(kept, first.governor.accounts())
    again.apply(kimi(concurrency=9, requestsPerMinute=60))
    now = asyncio.get_running_loop().time()
    assert again.limit("kimi") == 4
    assert again["kimi"].rates.in_window(now) == (30, 0), "nobody knows what was begun"

    other = Process(in_fleet=True, mode="Off")
    other.governor.restore(kept, first.governor.accounts())
    other.apply(kimi("sk-2", concurrency=9))
    assert other.limit("kimi") == 0


async def test_who_waits_where_no_slot_is_held_is_sent_to_who_holds_one() -> None:
    process = Process()
    waiting = asyncio.create_task(process["kimi"].pool.acquire(client="a"))
    await asyncio.sleep(1.0)
    process.grant(
        Quota(provider="kimi", share=0), peers=[Peer(address="a:1", provider="kimi", share=3)]
    )
    with pytest.raises(Misdirected):
        await waiting
    assert [peer.address for peer in process["kimi"].peers("kimi-k2")] == ["a:1"]


async def test_a_process_that_begins_again_still_knows_who_holds_slots() -> None:
    first, peers = Process(), [Peer(address="a:1", provider="kimi", share=3)]
    first.grant(Quota(provider="kimi", share=0), peers=peers)
    kept = first.governor.grant
    assert kept is not None
    again = Process(in_fleet=True, mode="Off")
    again.governor.restore(kept, first.governor.accounts())
    again.apply(kimi())
    assert again["kimi"].peers("kimi-k2") == peers
    again.apply(kimi("sk-2"))
    assert again["kimi"].peers("kimi-k2") == (), "they hold slots of the account before"


async def test_who_waits_when_the_key_changes_goes_on_waiting() -> None:
    process = Process()
    waiting = asyncio.create_task(process["kimi"].pool.acquire(client="a"))
    await asyncio.sleep(1.0)
    process.apply(kimi("sk-2"))
    await asyncio.sleep(1.0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_the_last_changes_of_a_ceiling_are_remembered_for_people() -> None:
    process = Process()
    for number in range(15):
        quota = Quota(provider="kimi", share=1, ceiling=number // 1, reason=f"reason {number}")
        process.grant(quota)
        process.grant(quota)
    told = list(process.governor.ceilings["kimi", ""])
    assert len(told) == REASONS
    assert (told[-1].ceiling, told[-1].reason, told[-1].at) == (14, "reason 14", NOW)


async def test_a_grant_for_a_provider_that_is_not_there_grants_nothing() -> None:
    process = Process()
    process.governor.take(Grant(epoch=1, sequence=1, quotas=[Quota(provider="x", share=3)]), NOW)
    assert process.limit("kimi") == 0
    assert process.governor.accounts() == {}


async def test_who_waits_for_a_rate_that_is_held_elsewhere_is_sent_there() -> None:
    process = Process(kimi(concurrency=9, requestsPerMinute=60))
    process.grant(Quota(provider="kimi", share=3, requests_per_minute=0))
    until = asyncio.get_running_loop().time() + 10.0
    rates = process["kimi"].rates
    waiting = [asyncio.create_task(rates.take(CALL, until, name)) for name in ("a", "b")]
    await asyncio.sleep(1.0)
    process.grant(
        Quota(provider="kimi", share=3, requests_per_minute=0),
        peers=[Peer(address="a:1", provider="kimi", share=3)],
    )
    for task in waiting:
        with pytest.raises(Misdirected):
            await task
    assert rates.waiting == 0


async def test_standings_are_counted() -> None:
    process = Process(kimi(), glm())
    process.grant(Quota(provider="kimi", share=1))
    assert process.governor.standings() == {"document": 0, "nothing": 1, "bootstrap": 0, "grant": 1}


async def test_a_model_that_is_held_elsewhere_turns_nobody_away_who_wants_another() -> None:
    stated = {"requestsPerMinute": 60, "byModel": {"glm-5": {"concurrency": 3}}}
    process = Process(glm(**stated))
    rates = process["glm"].rates
    while (turn := rates.take_now(CALL)) is not None:
        turn.begin(asyncio.get_running_loop().time())
    until = asyncio.get_running_loop().time() + 100.0
    waiting = asyncio.create_task(rates.take(CALL, until, "a"))
    await asyncio.sleep(0.1)
    process.grant(
        Quota(provider="glm", model="glm-5", share=0),
        peers=[Peer(address="a:1", provider="glm", model="glm-5", share=3)],
    )
    await asyncio.sleep(0.1)
    assert not waiting.done() or waiting.exception() is None
    assert await waiting is not None


async def test_models_that_clients_make_up_are_not_remembered() -> None:
    process = Process(glm())
    for number in range(20):
        models = {f"{number}-{place}" for place in range(50)}
        process.grant(*(Quota(provider="glm", model=model, share=1) for model in models))
    assert {model for _, model in process.governor.ceilings} == models
