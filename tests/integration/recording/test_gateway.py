"""The whole gateway, killed in the middle of its work: what its clients were answered is kept."""

from __future__ import annotations

import http.client
import json
import random
import re
import signal
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.integration.recording.conftest import connect
from tests.integration.recording.test_durability import (
    ASYNC_BOUND,
    SYNCS_OF_A_COMMIT,
    eventually,
    longest_sync,
)
from tests.support.gateway_process import GatewayProcess, document, gateway
from tests.support.postgrest import Project
from tests.support.recording import shipping_recorder

from mcp_gateway.recording.archive import Archive, Question

pytestmark = pytest.mark.integration

KILLS = 20
CLIENTS = 4

_RECORDED = re.compile(r'^mcp_gateway_records_total\{state="recorded"\} (\S+)$', re.MULTILINE)


def recording_gateway(recording: Mapping[str, object]) -> dict[str, object]:
    """A document: one quick provider, nobody asked for a key."""
    now = {"median": "0s"}
    simulator = {"wire": "kimi", "latency": {"firstToken": now, "perToken": now}}
    return document(
        "recording",
        {
            "server": {"host": "127.0.0.1"},
            "auth": {"anonymous": True},
            "providers": [{"name": "kimi", "type": "simulator", "simulator": simulator}],
            "recording": dict(recording),
        },
    )


class Clients:
    """Some clients that ask one thing after another, and note each answer's id and moment."""

    def __init__(self) -> None:
        self.answered: list[tuple[str, float]] = []
        self.enough = threading.Event()
        self._stopping = threading.Event()

    def run(self, running: GatewayProcess, answers: int) -> None:
        """Ask until there are that many more answers, then kill the gateway at once.

        The disk must have kept some of them, or there is nothing to lose: a slow disk may need
        longer for its first commit than a quick processor for all the answers.
        """
        goal = len(self.answered) + answers
        self._stopping.clear()
        self.enough.clear()
        threads = [
            threading.Thread(target=self._ask, args=(running.openai, goal)) for _ in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        assert self.enough.wait(120.0), running.child.output
        # Of each client's last exchange the record may be kept before the client has the answer.
        eventually(lambda: recorded_by(running) > CLIENTS, "the first records are kept")
        self._killed = time.monotonic()
        running.child.stop(first=signal.SIGKILL)
        self._stopping.set()
        for thread in threads:
            thread.join(60.0)

    def age_at_death(self, moment: float) -> float:
        return self._killed - moment

    def _ask(self, base: str, goal: int) -> None:
        address = urlsplit(base)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        body = json.dumps(
            {"model": "kimi-k2.6", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
        )
        headers = {"Content-Type": "application/json"}
        try:
            while not self._stopping.is_set():
                connection.request("POST", f"{address.path}/chat/completions", body, headers)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200
                exchange = answer.headers["x-request-id"]
                self.answered.append((exchange, time.monotonic()))
                if len(self.answered) >= goal:
                    self.enough.set()
        except (OSError, http.client.HTTPException):
            return  # killed
        finally:
            connection.close()


def recorded_by(running: GatewayProcess) -> float:
    """Records that a gateway has committed, by its own account."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{running.admin}/metrics", timeout=30.0) as answer:
        found = _RECORDED.search(answer.read().decode())
    return float(found[1]) if found else 0.0


def live_and_die(
    folder: Path, recording: Mapping[str, object], secrets: Mapping[str, Mapping[str, str]]
) -> dict[str, float]:
    """Twenty lives; the id of each answered exchange and its age when its gateway was killed."""
    chance = random.Random(7)
    clients = Clients()
    ages: dict[str, float] = {}
    what = recording_gateway({**recording, "spool": {"path": str(folder / "spool.db")}})
    for life in range(KILLS):
        before = len(clients.answered)
        with gateway(what, folder / f"life-{life}", secrets_of=secrets) as running:
            clients.run(running, chance.randrange(20, 200))
        for exchange, moment in clients.answered[before:]:
            ages[exchange] = clients.age_at_death(moment)
    return ages


def recorded(spool: Path) -> set[str]:
    with Archive(spool) as archive:
        ids = [record["id"] for record in archive.latest(Question(), 1_000_000)]
    assert len(ids) == len(set(ids))
    return set(ids)


def test_sync_gateway_loses_no_answered_exchange_in_twenty_kills(tmp_path: Path) -> None:
    ages = live_and_die(tmp_path, {"durability": "sync"}, {})
    # An answer that left after the kill's signal was sent left all the same.
    assert set(ages) <= recorded(tmp_path / "spool.db")


def test_async_gateway_loses_the_last_moment_at_most_in_twenty_kills(tmp_path: Path) -> None:
    ages = live_and_die(tmp_path, {"durability": "async"}, {})
    lost = set(ages) - recorded(tmp_path / "spool.db")
    bound = ASYNC_BOUND + SYNCS_OF_A_COMMIT * longest_sync(tmp_path)
    assert max((ages[exchange] for exchange in lost), default=0.0) < bound
    assert len(ages) - len(lost) >= KILLS


async def test_killed_gateways_ship_every_record_once(project: Project, tmp_path: Path) -> None:
    key = project.key("mcp_gateway_writer")
    shipping = {
        "durability": "sync",
        "supabase": {
            "url": project.url,
            "key": {"secretRef": {"name": "supabase", "key": "key"}},
            "interval": "50ms",
        },
    }
    ages = live_and_die(tmp_path, shipping, {"supabase": {"key": key}})
    last = shipping_recorder(tmp_path / "spool.db", lambda: connect(project, key))
    await last.start()
    await last.aclose(grace=60.0)
    ids = project.postgres.sql("select id from public.interactions").split()
    assert len(ids) == len(set(ids))
    assert set(ages) <= set(ids)
    with Archive(tmp_path / "spool.db") as archive:
        assert archive.counts() == {"records": 0, "unshipped": 0, "dead_letters": 0}
