from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from mcp_gateway.recording.delivery import deliver
from mcp_gateway.recording.destination import Misconfigured, Rejected, TooLarge, Unavailable
from mcp_gateway.recording.spool import Stored


class Database:
    """Takes records by its rules and remembers them."""

    def __init__(self) -> None:
        self.stored: set[str] = set()
        self.calls = 0
        self.poison: set[str] = set()
        self.blocked: set[str] = set()
        self.room = 10**9
        self.error: Exception | None = None

    def send(self, bodies: Sequence[str]) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error
        if sum(map(len, bodies)) > self.room:
            raise TooLarge("too large", code="413")
        if self.blocked & set(bodies):
            raise Unavailable("blocked", code="403", answered=True)
        if self.poison & set(bodies):
            raise Rejected("overflow", code="22003")
        self.stored |= set(bodies)


def rows(*bodies: str) -> list[Stored]:
    return [Stored(number, body, 0.0, body) for number, body in enumerate(bodies, 1)]


def none() -> None:
    return None


def later() -> Stored:
    return Stored(1000, "later", 0.0, "later")


def test_good_batch_is_one_call() -> None:
    database = Database()
    assert deliver(rows("a", "b"), database.send, another=none) == []
    assert (database.stored, database.calls) == ({"a", "b"}, 1)


def test_poison_is_found_and_all_others_arrive() -> None:
    database = Database()
    database.poison = {"c", "d", "p"}
    letters = [chr(ord("a") + number) for number in range(20)]
    dead = deliver(rows(*letters), database.send, another=none)
    assert [(letter.seq, letter.reason) for letter in dead] == [
        (3, "22003: overflow"),
        (4, "22003: overflow"),
        (16, "22003: overflow"),
    ]
    assert database.stored == set(letters) - database.poison


@pytest.mark.parametrize("seed", range(20))
def test_any_poison_in_any_batch_is_found(seed: int) -> None:
    chance = random.Random(seed)
    names = [str(number) for number in range(chance.randrange(1, 60))]
    database = Database()
    database.poison = set(chance.sample(names, chance.randrange(len(names) + 1)))
    dead = deliver(rows(*names), database.send, another=none)
    assert {names[letter.seq - 1] for letter in dead} == database.poison
    assert database.stored == set(names) - database.poison


def test_destination_that_rejects_even_nothing_condemns_nobody() -> None:
    database = Database()
    database.error = Rejected("role does not exist", code="22023")
    with pytest.raises(Unavailable, match="role does not exist"):
        deliver(rows("a", "b"), database.send, another=later)
    assert database.calls == 2


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("away"),
        Unavailable("blocked", answered=True),
        Misconfigured("wrong key"),
    ],
)
def test_trouble_of_the_destination_leaves_the_batch_for_later(error: Exception) -> None:
    database = Database()
    database.error = error
    with pytest.raises(type(error)):
        deliver(rows("a"), database.send, another=later)
    assert database.calls == 1


def test_large_batch_is_halved_until_it_passes() -> None:
    database = Database()
    database.room = 3
    assert deliver(rows(*"abcdefgh"), database.send, another=none) == []
    assert database.stored == set("abcdefgh")


def test_large_record_is_set_aside_when_others_pass() -> None:
    database = Database()
    database.room = 3
    dead = deliver(rows("a", "large", "b"), database.send, another=none)
    assert [letter.seq for letter in dead] == [2]
    assert database.stored == {"a", "b"}


def test_large_record_alone_waits_until_another_passes() -> None:
    database = Database()
    database.room = 3
    with pytest.raises(Unavailable):
        deliver(rows("large"), database.send, another=none)
    database.room = 5
    dead = deliver(rows("larger"), database.send, another=later)
    assert [letter.seq for letter in dead] == [1]
    assert database.stored == {"later"}


def test_destination_that_finds_everything_too_large_condemns_nobody() -> None:
    database = Database()
    database.room = 0
    with pytest.raises(TooLarge):
        deliver(rows("a", "b"), database.send, another=later)


def test_suspected_record_is_set_aside_only_while_another_passes() -> None:
    database = Database()
    database.blocked = {"b"}
    dead = deliver(rows("a", "b", "c"), database.send, another=later, suspicious=True)
    assert [(letter.seq, letter.reason) for letter in dead] == [(2, "403: blocked")]
    assert database.stored == {"a", "c", "later"}
    database.blocked = {"a", "later"}
    with pytest.raises(Unavailable):
        deliver(rows("a"), database.send, another=later, suspicious=True)


def test_suspicion_costs_one_call_while_everything_is_refused() -> None:
    database = Database()
    database.error = Unavailable("blocked", answered=True)
    with pytest.raises(Unavailable):
        deliver(rows(*"abcdefgh"), database.send, another=later, suspicious=True)
    assert database.calls == 2


def test_newest_record_is_no_evidence_against_itself() -> None:
    database = Database()
    database.blocked = {"a"}

    def itself() -> Stored:
        return rows("a")[0]

    with pytest.raises(Unavailable):
        deliver(rows("a"), database.send, another=itself, suspicious=True)


def test_loss_of_the_destination_in_the_middle_of_a_search_ends_it() -> None:
    database = Database()
    database.poison = {"a"}

    def failing(bodies: Sequence[str]) -> None:
        if database.calls > 2:
            raise Unavailable("away")
        database.send(bodies)

    with pytest.raises(Unavailable):
        deliver(rows(*"abcd"), failing, another=none)
