"""What people are told of a ceiling: the cuts at once, the rest in one."""

from __future__ import annotations

from mcp_gateway_operator.tuning.change import KEPT, Journal


def test_growing_is_told_once_a_minute_in_how_many_steps() -> None:
    journal = Journal(2, 60.0)
    told = [journal.note(float(n), 2 + n, "requests waited") for n in range(70)]
    said = [one for one in told if one is not None]
    assert len(said) == 1
    assert str(said[0].of("shop/gateway", "kimi", "")) == (
        "kimi: ceiling 2 → 63: in 61 steps: requests waited"
    )


def test_a_cut_is_told_at_once_and_those_behind_it_in_one() -> None:
    journal = Journal(100, 60.0)
    told = {n: journal.note(float(n), 100 - 10 * min(n, 5), "refused") for n in range(1, 30)}
    said = {n: one for n, one in told.items() if one is not None}
    assert list(said) == [1, 11]
    assert (said[11].before, said[11].after, said[11].lowered) == (90, 50, True)


def test_a_probe_that_was_refused_is_no_news() -> None:
    journal = Journal(100, 60.0)
    for minute in range(20):
        for second, value in ((0, 101), (1, 100)):
            assert journal.note(minute * 60.0 + second, value, "probe") is None
    assert not journal.recent


def test_a_stated_limit_that_is_found_lower_is_told_however_little() -> None:
    journal = Journal(100, 60.0)
    moved = journal.note(5.0, 99, "1 concurrency refusal in 1 s at 99 in flight", stated=100)
    assert moved is not None
    assert moved.lowered


def test_the_last_ten_are_kept() -> None:
    journal = Journal(None, 60.0)
    for n in range(30):
        for second in (0.0, 100.0):
            journal.note(n * 1_000.0 + second, n * 10, "so")
    assert len(journal.recent) == KEPT
    assert journal.recent[-1].after == 290
