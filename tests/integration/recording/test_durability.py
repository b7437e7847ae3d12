"""What a killed process costs: nothing in sync, the last moment in async, never the spool."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.recording.conftest import connect
from tests.support.postgrest import Project
from tests.support.process import Child
from tests.support.recording import recorder_settings, shipping_recorder

from mcp_gateway.errors import ConfigError
from mcp_gateway.recording.archive import Archive, Question
from mcp_gateway.recording.recorder import Recorder

pytestmark = pytest.mark.integration

KILLS = 20
PER_LIFE = 1_000_000

# The promise is 50 ms and the commit that is under way. On a machine that is busy with other
# tests a commit waits for a processor, and for the disk as long as the disk takes; what must
# never happen is a loss beyond that.
ASYNC_BOUND = 2.0
SYNCS_OF_A_COMMIT = 5
BEGUN_WITHIN = 60.0


def longest_sync(folder: Path, tries: int = 3) -> float:
    """Seconds that this disk needs at most to keep a few bytes for good."""
    longest = 0.0
    with (folder / "sync").open("wb") as file:
        for _ in range(tries):
            began = time.monotonic()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            longest = max(longest, time.monotonic() - began)
    return longest


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Return when it holds. A process that lives on is looked at meanwhile.

    Raises:
        AssertionError: it did not in time.
    """
    deadline = time.monotonic() + BEGUN_WITHIN
    while not holds():
        assert time.monotonic() < deadline, f"not within {BEGUN_WITHIN:g} s: {what}"
        time.sleep(0.01)


class Lives:
    """A recorder in a process of its own, killed and born again on the same spool."""

    def __init__(self, spool: Path, *options: str) -> None:
        self.spool = spool
        self._options = options
        self._answered = spool.parent.parent / "answered"
        self._life = 0
        self.killed_at: dict[int, float] = {}
        self.longest_sync = 0.0

    def live(self, seconds: float, begun: Callable[[int], bool]) -> None:
        """One life, ended by SIGKILL in the middle of the load.

        It lasts some seconds, and longer where the disk is so slow that nothing was kept by then.

        Args:
            seconds: its length.
            begun: tells whether the life of a number has left something.
        """
        self._life += 1
        first = str(self._life * PER_LIFE)
        arguments = ["--spool", str(self.spool), "--answered", str(self._answered)]
        with Child.module(
            "tests.support.recording_child", *arguments, "--first", first, *self._options
        ) as child:
            child.wait_for_line(lambda line: "recording" in line)
            time.sleep(seconds)  # the length of the life is the random part of the test
            eventually(lambda: begun(self._life), "a life leaves something")
            self.killed_at[self._life] = time.monotonic()
            child.stop(first=signal.SIGKILL)
        self.longest_sync = max(self.longest_sync, longest_sync(self.spool.parent))

    def committed(self, life: int) -> bool:
        """Records of a life are in the spool."""
        with Archive(self.spool) as archive:
            newest = archive.latest(Question(), 2)
        return [int(each["id"], 16) // PER_LIFE for each in newest] == [life, life]

    def has_answered(self, life: int) -> bool:
        """Clients of a life have had their answers."""
        if not self._answered.exists():
            return False
        return [number // PER_LIFE for number, _ in self.answered()][-2:] == [life, life]

    def answered(self) -> Iterator[tuple[int, float]]:
        """Number of each record whose client had its answer, and when."""
        whole, _, _ = self._answered.read_text().rpartition("\n")
        for line in whole.splitlines():
            number, moment = line.split()
            yield int(number), float(moment)

    def age_at_death(self, number: int, moment: float) -> float:
        return self.killed_at[number // PER_LIFE] - moment


def recorded(spool: Path) -> list[int]:
    with Archive(spool) as archive:
        return [int(entry["id"], 16) for entry in archive.latest(Question(), 10_000_000)]


def check_lost(lives: Lives, there: set[int]) -> None:
    """Only the end of a life may be missing, and nothing that is older than the bound."""
    lost: dict[int, list[float]] = {}
    for number, moment in lives.answered():
        life = number // PER_LIFE
        if number not in there:
            lost.setdefault(life, []).append(lives.age_at_death(number, moment))
        else:
            assert life not in lost, f"record {number} is there and an earlier one is not"
    worst = max((max(ages) for ages in lost.values()), default=0.0)
    assert worst < ASYNC_BOUND + SYNCS_OF_A_COMMIT * lives.longest_sync


@pytest.fixture
def chance() -> random.Random:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


def test_sync_loses_nothing_that_was_answered_in_twenty_kills(
    spool: Path, chance: random.Random
) -> None:
    lives = Lives(spool, "--sync")
    for _ in range(KILLS):
        lives.live(chance.uniform(0.02, 0.3), lives.has_answered)
        Archive(spool).close()
    there = recorded(spool)
    answered = {number for number, _ in lives.answered()}
    assert len(answered) > KILLS
    assert answered - set(there) == set()
    assert len(there) == len(set(there))


def test_async_loses_the_last_moment_at_most_in_twenty_kills(
    spool: Path, chance: random.Random
) -> None:
    lives = Lives(spool)
    for _ in range(KILLS):
        lives.live(chance.uniform(0.05, 0.4), lives.committed)
        Archive(spool).close()
    there = recorded(spool)
    assert len(there) == len(set(there)) > KILLS
    check_lost(lives, set(there))


async def test_everything_committed_arrives_once_through_twenty_kills(
    project: Project, spool: Path, chance: random.Random
) -> None:
    key = project.key("mcp_gateway_writer")
    lives = Lives(spool, "--url", project.url, "--key", key)
    for _ in range(KILLS):
        lives.live(chance.uniform(0.3, 0.8), lives.committed)
    last = shipping_recorder(spool, lambda: connect(project, key))
    await last.start()
    await last.aclose(grace=60.0)
    with Archive(spool) as archive:
        assert archive.counts() == {"records": 0, "unshipped": 0, "dead_letters": 0}
    ids = project.postgres.sql("select id from public.interactions").split()
    assert len(ids) == len(set(ids)) > KILLS
    check_lost(lives, {int(text, 16) for text in ids})


async def test_two_gateways_do_not_share_a_spool(spool: Path) -> None:
    first, second = Recorder(recorder_settings(), spool), Recorder(recorder_settings(), spool)
    await first.start()
    with pytest.raises(ConfigError, match="another running gateway"):
        await second.start()
    await first.aclose()
    await second.start()
    await second.aclose()
