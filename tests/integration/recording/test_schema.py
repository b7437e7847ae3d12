"""The migration on a real database: it applies, twice, and lets nobody do more than they may."""

from __future__ import annotations

import time
from contextlib import closing

import httpx
import pytest
from tests.support.postgres import Postgres
from tests.support.postgrest import JWT_SECRET, OWN_ROLES, Project

from mcp_gateway.recording.destination import Misconfigured
from mcp_gateway.recording.key import writer_key
from mcp_gateway.recording.schema import grant, migration
from mcp_gateway.recording.supabase import SupabaseDestination, SupabaseSettings

pytestmark = pytest.mark.integration

WRITER = "mcp_gateway_writer"


def call(project: Project, role: str, method: str, path: str, body: object = None) -> int:
    headers = {"Authorization": f"Bearer {project.key(role)}", "apikey": project.key("anon")}
    url = f"{project.url}/rest/v1/{path}"
    answer = httpx.request(method, url, headers=headers, json=body, trust_env=False, timeout=60.0)
    return answer.status_code


def test_migration_applies_again_and_keeps_what_is_there(
    project: Project, writer: SupabaseDestination
) -> None:
    writer.send(['{"id": "kept", "started": 1700000000.5}'])
    project.migrate(migration())
    assert project.postgres.sql("select id, started_at from public.interactions") == (
        "kept|2023-11-14 22:13:20.5+00"
    )


def test_migration_applies_to_a_plain_postgresql_without_supabase_roles() -> None:
    with Postgres() as plain:
        plain.sql(migration("calls"))
        plain.sql(migration("calls"))
        said = plain.sql("""select public.record_calls('[{"id": "a", "started": 1}]')""")
        assert said == '{"schema": 1, "stored": 1}'


def test_own_postgresql_takes_records_with_the_key_that_the_command_line_makes() -> None:
    with Postgres() as plain, Project(plain, roles=OWN_ROLES) as own:
        own.migrate(migration())
        key = writer_key(JWT_SECRET, issued=time.time(), lifetime=600.0)
        settings = SupabaseSettings(url=own.url, key=key)
        with closing(SupabaseDestination(settings)) as destination:
            destination.send(['{"id": "a", "started": 1}'])
        assert plain.sql("select id from public.interactions") == "a"


def test_migration_adds_columns_that_an_older_table_lacks(project: Project) -> None:
    project.postgres.sql(migration("older"))
    project.postgres.sql("alter table public.older drop column finish_reason, drop column tries")
    project.postgres.sql(migration("older"))
    project.postgres.sql("""select public.record_older('[{"id": "a", "started": 1}]')""")
    assert project.postgres.sql("select finish_reason from public.older") == ""


@pytest.mark.parametrize("role", [WRITER, "anon", "authenticated"])
def test_no_role_of_the_outside_reads_or_deletes(project: Project, role: str) -> None:
    assert call(project, role, "GET", "interactions") in {401, 403}
    assert call(project, role, "POST", "rpc/expire_interactions", {"keep": "1 day"}) in {401, 403}


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_public_keys_do_not_write(project: Project, role: str) -> None:
    batch = {"batch": '[{"id": "forged", "started": 1}]'}
    assert call(project, role, "POST", "rpc/record_interactions", batch) in {401, 403}
    assert call(project, role, "POST", "interactions", {"id": "forged"}) in {401, 403}
    assert project.postgres.sql("select count(*) from public.interactions") == "0"


def test_writer_key_writes_and_does_nothing_else(
    project: Project, writer: SupabaseDestination
) -> None:
    writer.send(['{"id": "a", "started": 1}'])
    assert call(project, WRITER, "POST", "interactions", {"id": "b"}) == 403
    assert call(project, WRITER, "DELETE", "interactions?id=eq.a") in {403, 501}
    assert project.postgres.sql("select id from public.interactions") == "a"


def test_key_of_the_command_line_is_the_writers(project: Project) -> None:
    key = writer_key(JWT_SECRET, issued=time.time(), lifetime=600.0)
    with closing(SupabaseDestination(SupabaseSettings(url=project.url, key=key))) as destination:
        destination.send(['{"id": "a", "started": 1}'])
    assert project.postgres.sql("select id from public.interactions") == "a"


def test_function_uses_no_name_that_a_caller_could_plant(project: Project) -> None:
    config = project.postgres.sql(
        "select proconfig, prosecdef from pg_proc where proname = 'record_interactions'"
    )
    assert config == '{"search_path=pg_catalog, pg_temp"}|t'


def test_retention_deletes_what_is_older(project: Project, writer: SupabaseDestination) -> None:
    now = float(project.postgres.sql("select extract(epoch from now())"))
    old, new = now - 100 * 86_400, now - 86_400
    writer.send([f'{{"id": "old", "started": {old}}}', f'{{"id": "new", "started": {new}}}'])
    assert project.postgres.sql("select public.expire_interactions('90 days')") == "1"
    assert project.postgres.sql("select id from public.interactions") == "new"


def test_missing_table_is_answered_with_the_sql_that_makes_it(project: Project) -> None:
    settings = SupabaseSettings(url=project.url, key=project.key(WRITER), table="absent")
    with (
        closing(SupabaseDestination(settings)) as destination,
        pytest.raises(Misconfigured, match="supabase-schema --table absent") as caught,
    ):
        destination.send([])
    assert caught.value.remedy == migration("absent")


def test_missing_right_is_answered_with_the_grant(
    project: Project, writer: SupabaseDestination
) -> None:
    project.postgres.sql(
        f"revoke execute on function public.record_interactions(text) from {WRITER}"
    )
    with pytest.raises(Misconfigured, match="may not call record_interactions") as caught:
        writer.send([])
    assert caught.value.remedy == grant()
    project.migrate(caught.value.remedy)
    writer.send([])


def test_key_of_a_role_that_does_not_exist_condemns_no_record(project: Project) -> None:
    settings = SupabaseSettings(url=project.url, key=project.key("nobody_made_me"))
    with (
        closing(SupabaseDestination(settings)) as destination,
        pytest.raises(Misconfigured, match="supabase-schema"),
    ):
        destination.send(['{"id": "a", "started": 1}'])
