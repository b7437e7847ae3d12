"""The shipper against PostgREST with the real client: what goes wrong, and that nothing is lost."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.recording.conftest import connect
from tests.support.postgrest import Fault, Project
from tests.support.recording import record, shipping_recorder, until

from mcp_gateway.recording.archive import Archive, Question
from mcp_gateway.recording.destination import Credential
from mcp_gateway.recording.record import Record
from mcp_gateway.recording.recorder import Recorder
from mcp_gateway.recording.supabase import SupabaseDestination

pytestmark = pytest.mark.integration

POISON = b'{"n": 1e999999}'  # JSON, and no number that PostgreSQL has


def recorder(spool: Path, project: Project, *, timeout: float = 10.0, **settings: Any) -> Recorder:
    key = project.key("mcp_gateway_writer")
    return shipping_recorder(spool, lambda: connect(project, key, timeout), **settings)


def rows(project: Project) -> int:
    return int(project.postgres.sql("select count(*) from public.interactions"))


def shipped(recording: Recorder) -> int:
    stats = recording.stats().shipper
    assert stats is not None
    return stats.shipped


def problem(recording: Recorder) -> str:
    stats = recording.stats().shipper
    assert stats is not None
    return stats.problem


async def put_steadily(recording: Recorder, numbers: Iterable[int], rate: float = 1000.0) -> None:
    """Put records at a rate, in steps of ten milliseconds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for count, number in enumerate(numbers):
        if count % max(int(rate / 100), 1) == 0:
            await asyncio.sleep(max(began + count / rate - loop.time(), 0.0))
        assert recording.put(record(number))


async def test_steady_load_arrives_once_and_leaves_the_spool(project: Project, spool: Path) -> None:
    recording = recorder(spool, project)
    await recording.start()
    await put_steadily(recording, range(3000))
    await recording.aclose(grace=30.0)
    assert rows(project) == 3000
    stats = recording.stats()
    assert stats.shipper is not None
    assert (stats.recorded, stats.shipper.shipped, stats.degraded) == (3000, 3000, "")
    with Archive(spool) as archive:
        assert archive.counts() == {"records": 0, "unshipped": 0, "dead_letters": 0}


async def test_every_field_arrives(project: Project, spool: Path) -> None:
    events = [
        b'{"model":"k","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"lo"}}]}',
    ]
    broken = record(
        1,
        started=1700000000.25,
        total_ms=1500.0,
        error="ConnectionLost",
        first_token_ms=300.0,
        streamed=True,
        finish_reason="",
        request=b'{"messages": [{"role": "user", "content": "\\u0000 hi"}]}',
        events=events,
    )
    # A record of that day is older than a spool keeps any: it must not be removed before it is
    # shipped.
    recording = recorder(spool, project, max_age=math.inf)
    await recording.start()
    recording.put(broken)
    await recording.aclose(grace=30.0)
    row = json.loads(project.postgres.sql("select to_json(i) from public.interactions i"))
    del row["received_at"]
    assert row["started_at"].startswith("2023-11-14T22:13:20.25")
    assert row["ended_at"].startswith("2023-11-14T22:13:21.75")
    assert row["response"]["choices"][0]["message"] == {"role": "assistant", "content": "Hello"}
    assert row["request"]["messages"][0]["content"] == "\ufffd hi"
    assert (row["gateway"], row["streamed"], row["error"]) == ("test", True, "ConnectionLost")
    assert (row["first_token_ms"], row["prompt_tokens"], row["client"]) == (300.0, 120, "alice")


async def test_service_role_works_and_is_warned_about(
    project: Project, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = project.key("service_role")
    with caplog.at_level(logging.WARNING):
        recording = shipping_recorder(spool, lambda: connect(project, key))
        await recording.start()
        recording.put(record(1))
        await recording.aclose(grace=30.0)
    assert rows(project) == 1
    assert "can read and change everything" in caplog.text
    assert key not in caplog.text


async def test_database_killed_under_load_gets_every_record_once(
    project: Project, spool: Path
) -> None:
    recording = recorder(spool, project)
    await recording.start()
    load = asyncio.create_task(put_steadily(recording, range(4000)), name="load")
    await until(lambda: shipped(recording) > 200, "records arrive")
    await asyncio.to_thread(project.postgres.kill)
    await until(lambda: bool(problem(recording)), "the loss is noticed")
    assert "records are not being shipped" in recording.stats().degraded
    await asyncio.to_thread(project.postgres.start)
    await load
    await recording.aclose(grace=60.0)
    assert rows(project) == 4000
    assert recording.stats().degraded == ""


@pytest.mark.parametrize(
    "fault",
    [
        Fault(503, "no server", {"Retry-After": "0"}),
        Fault(500, '{"code": "57014", "message": "canceling statement due to statement timeout"}'),
        Fault(401, '{"message": "Invalid authentication credentials"}'),
        Fault(404, '{"code": "PGRST202", "message": "Could not find the function"}'),
        Fault(409, "conflict"),
        Fault(413, "too large"),
        Fault(403, "<html>blocked</html>", {"Content-Type": "text/html"}),
        Fault(200, "<html>please log in</html>", {"Content-Type": "text/html"}),
        Fault(302, "", {"Location": "/elsewhere"}),
        Fault(503, "the answer is lost", after=True),
    ],
    ids=lambda fault: f"{fault.status}-{fault.body[:20]}",
)
async def test_refusals_of_everything_delay_and_lose_nothing(
    project: Project, spool: Path, fault: Fault
) -> None:
    project.proxy.fault = fault
    recording = recorder(spool, project, batch=40, max_backoff=0.1)
    await recording.start()
    for number in range(100):
        recording.put(record(number))
    await until(lambda: bool(problem(recording)), "the refusal is noticed")
    seen = project.proxy.requests
    await until(lambda: project.proxy.requests > seen + 12, "it is tried again and again")
    project.proxy.fault = None
    await recording.aclose(grace=30.0)
    assert rows(project) == 100
    with Archive(spool) as archive:
        assert archive.counts() == {"records": 0, "unshipped": 0, "dead_letters": 0}


async def test_hanging_database_is_given_up_on_and_asked_again(
    project: Project, spool: Path
) -> None:
    project.proxy.fault = Fault()
    recording = recorder(spool, project, timeout=0.2)
    await recording.start()
    recording.put(record(1))
    await until(lambda: "did not answer in time" in problem(recording), "the hang is noticed")
    project.proxy.fault = None
    await until(lambda: shipped(recording) == 1, "the record arrives")
    await recording.aclose()


async def test_drain_does_not_wait_beyond_its_grace_for_a_hanging_database(
    project: Project, spool: Path
) -> None:
    recording = recorder(spool, project, timeout=60.0)
    await recording.start()
    project.proxy.fault = Fault()
    recording.put(record(1))
    seen = project.proxy.requests
    await until(lambda: project.proxy.requests > seen, "the call hangs")
    await until(lambda: recording.stats().recorded == 1, "the record is in the spool")
    async with asyncio.timeout(30.0):
        await recording.aclose(grace=0.2)
    with Archive(spool) as archive:
        assert archive.counts()["unshipped"] == 1


async def test_large_batches_are_halved_until_they_pass(project: Project, spool: Path) -> None:
    project.proxy.fault = Fault(413, "too large", larger_than=20_000)
    recording = recorder(spool, project)
    await recording.start()
    for number in range(500):
        recording.put(record(number))
    await recording.aclose(grace=30.0)
    assert rows(project) == 500


async def test_record_too_large_for_the_database_blocks_no_other(
    project: Project, spool: Path
) -> None:
    project.proxy.fault = Fault(413, "too large", larger_than=20_000)
    recording = recorder(spool, project)
    await recording.start()
    recording.put(record(0, request=json.dumps({"text": "x" * 40_000}).encode()))
    for number in range(1, 50):
        recording.put(record(number))
    await until(lambda: recording.stats().dead_letters == 1, "the large record is set aside")
    await recording.aclose(grace=30.0)
    assert rows(project) == 49
    with Archive(spool) as archive:
        (dead,) = archive.dead_letters()
    assert dead.record["id"] == f"{0:032x}"
    assert "413" in dead.reason


async def test_poison_goes_to_the_dead_letters_and_the_others_arrive(
    project: Project, spool: Path
) -> None:
    recording = recorder(spool, project, batch=100)
    await recording.start()
    poisonous = {3, 57, 58, 199}
    for number in range(200):
        recording.put(record(number, request=POISON if number in poisonous else None))
    await until(lambda: recording.stats().dead_letters == 4, "poison is set aside")
    await recording.aclose(grace=30.0)
    assert rows(project) == 196
    assert "4 dead letters" in recording.stats().degraded
    with Archive(spool) as archive:
        dead = archive.dead_letters()
    assert {int(letter.record["id"], 16) for letter in dead} == poisonous
    assert all(letter.reason.startswith("22003: ") for letter in dead)


async def test_replayed_dead_letter_arrives_once_its_reason_is_gone(
    project: Project, spool: Path
) -> None:
    project.postgres.sql(
        "alter table public.interactions add constraint picky check (client <> 'alice')"
    )
    try:
        recording = recorder(spool, project)
        await recording.start()
        recording.put(record(1))
        recording.put(record(2, client="bob"))
        await until(lambda: recording.stats().dead_letters == 1, "it is set aside")
    finally:
        project.postgres.sql("alter table public.interactions drop constraint picky")
    with Archive(spool) as archive:
        assert archive.replay() == 1
    await until(lambda: rows(project) == 2, "the replayed record arrives")
    await recording.aclose()


async def test_record_that_only_a_firewall_minds_is_set_aside_when_others_pass(
    project: Project, spool: Path
) -> None:
    # A front door that answers 403 for what it takes for an attack, with no code of PostgreSQL's.
    project.proxy.fault = Fault(403, "<html>blocked</html>", larger_than=3000)
    recording = recorder(spool, project, batch=1, concurrency=1, max_backoff=0.1)
    await recording.start()
    recording.put(record(1, request=json.dumps({"text": "x" * 4000}).encode()))
    recording.put(record(2))
    await until(lambda: recording.stats().dead_letters == 1, "it is set aside")
    await recording.aclose(grace=30.0)
    assert rows(project) == 1


async def test_rotated_key_is_used_from_the_next_call_on(project: Project, spool: Path) -> None:
    recording = recorder(spool, project)
    await recording.start()
    recording.put(record(1))
    await until(lambda: shipped(recording) == 1, "the first record arrives")
    await asyncio.to_thread(project.rotate_secret, "another secret, long enough for the algorithm")
    recording.put(record(2))
    await until(lambda: "key was not accepted" in problem(recording), "the old key is refused")
    recording.credential_changed(Credential(project.key("mcp_gateway_writer"), project.key("anon")))
    await until(lambda: shipped(recording) == 2, "the second record arrives")
    assert recording.stats().degraded == ""
    await recording.aclose()


def _fields(entry: logging.LogRecord) -> dict[str, str]:
    fields: dict[str, str] = vars(entry).get("fields", {})
    return fields if "remedy" in fields else {}


async def test_migration_that_comes_late_starts_the_shipping(
    project: Project, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project.postgres.sql("drop function public.record_interactions(text)")
    project.postgres.sql("notify pgrst, 'reload schema'")
    recording = recorder(spool, project)
    await recording.start()
    recording.put(record(1))
    await until(lambda: "supabase-schema" in problem(recording), "the missing table is noticed")
    remedies = {fields["remedy"] for entry in caplog.records if (fields := _fields(entry))}
    (warning,) = remedies
    assert "create or replace function public.record_interactions" in warning
    await asyncio.to_thread(project.migrate, warning)
    await until(lambda: shipped(recording) == 1, "the record arrives")
    await recording.aclose()


async def test_next_life_goes_on_at_the_watermark(project: Project, spool: Path) -> None:
    first = recorder(spool, project)
    await first.start()
    first.put(record(1))
    await until(lambda: shipped(first) == 1, "the first record arrives")
    project.proxy.fault = Fault(503)
    first.put(record(2))
    await until(lambda: first.stats().recorded == 2, "the second record is in the spool")
    await first.aclose(grace=0.3)
    project.proxy.fault = None
    second = recorder(spool, project)
    await second.start()
    second.put(record(3))
    await second.aclose(grace=30.0)
    assert shipped(second) == 2
    assert rows(project) == 3


async def test_kept_records_are_shipped_once_and_stay(project: Project, spool: Path) -> None:
    for life in range(2):
        recording = recorder(spool, project, keep_shipped=True)
        await recording.start()
        recording.put(record(life))
        await recording.aclose(grace=30.0)
        assert shipped(recording) == 1
    with Archive(spool) as archive:
        assert len(list(archive.lines(Question()))) == 2
        assert archive.counts()["unshipped"] == 0


def test_half_delivered_batch_is_completed_by_the_next_try(
    project: Project, writer: SupabaseDestination
) -> None:
    bodies = [json.dumps({"id": f"r{number}", "started": 1.0}) for number in range(10)]
    writer.send(bodies[:5])
    writer.send(bodies)
    writer.send(bodies)
    assert rows(project) == 10


def test_record_type_and_table_have_the_same_fields(project: Project) -> None:
    columns = set(
        project.postgres.sql(
            "select column_name from information_schema.columns where table_name = 'interactions'"
        ).split()
    )
    fields = set(Record.__struct_fields__) - {"started", "events"}
    assert columns - fields == {"started_at", "ended_at", "received_at"}
    assert fields <= columns
