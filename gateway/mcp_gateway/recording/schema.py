"""The SQL that a database needs before records can be shipped to it.

The migration may be applied any number of times, by the owner of the database. It serves
Supabase and any PostgreSQL behind PostgREST: roles that only one of them has are treated only
where they exist.
"""

from __future__ import annotations

import re

SCHEMA_VERSION = 1
"""What the insert function answers; a smaller number asks for the migration to be applied."""

WRITER_ROLE = "mcp_gateway_writer"
"""The role that can call the insert function, and nothing else."""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,55}")

_COLUMNS = (
    ("started_at", "timestamptz not null", "to_timestamp(r.started)"),
    (
        "ended_at",
        "timestamptz not null",
        "to_timestamp(r.started + coalesce(r.total_ms, 0) / 1000)",
    ),
    ("gateway", "text not null default ''", "coalesce(r.gateway, '')"),
    ("face", "text not null default ''", "coalesce(r.face, '')"),
    ("kind", "text not null default 'request'", "coalesce(r.kind, 'request')"),
    ("method", "text not null default ''", "coalesce(r.method, '')"),
    ("tool", "text not null default ''", "coalesce(r.tool, '')"),
    ("request_id", "text not null default ''", "coalesce(r.request_id, '')"),
    ("client", "text not null default ''", "coalesce(r.client, '')"),
    ("route", "text not null default ''", "coalesce(r.route, '')"),
    ("provider", "text not null default ''", "coalesce(r.provider, '')"),
    ("asked_model", "text not null default ''", "coalesce(r.asked_model, '')"),
    ("model", "text not null default ''", "coalesce(r.model, '')"),
    ("status", "integer not null default 0", "coalesce(r.status, 0)"),
    ("error", "text not null default ''", "coalesce(r.error, '')"),
    ("error_message", "text not null default ''", "coalesce(r.error_message, '')"),
    ("attempts", "integer not null default 0", "coalesce(r.attempts, 0)"),
    ("tries", "jsonb", "r.tries"),
    ("queue_ms", "double precision not null default 0", "coalesce(r.queue_ms, 0)"),
    ("upstream_ms", "double precision not null default 0", "coalesce(r.upstream_ms, 0)"),
    ("total_ms", "double precision not null default 0", "coalesce(r.total_ms, 0)"),
    ("first_token_ms", "double precision", "r.first_token_ms"),
    ("prompt_tokens", "bigint not null default 0", "coalesce(r.prompt_tokens, 0)"),
    ("completion_tokens", "bigint not null default 0", "coalesce(r.completion_tokens, 0)"),
    ("finish_reason", "text not null default ''", "coalesce(r.finish_reason, '')"),
    ("streamed", "boolean not null default false", "coalesce(r.streamed, false)"),
    ("traceparent", "text not null default ''", "coalesce(r.traceparent, '')"),
    ("request", "jsonb", "r.request"),
    ("response", "jsonb", "r.response"),
)
"""Name, type, and the value taken from a record's JSON, which leaves out what is default."""

_FIELDS = """r(
    id text, started double precision, gateway text, face text, kind text, method text, tool text,
    request_id text, client text, route text, provider text, asked_model text, model text,
    status integer, error text, error_message text, attempts integer, tries jsonb,
    queue_ms double precision, upstream_ms double precision, total_ms double precision,
    first_token_ms double precision, prompt_tokens bigint, completion_tokens bigint,
    finish_reason text, streamed boolean, traceparent text, request jsonb, response jsonb
  )"""

_MIGRATION = """\
-- MCPGateway: the table "@table@" and what fills it. Schema @version@.
-- Apply it as the owner of the database, as often as you like.

begin;

create table if not exists public.@table@ (
  id text primary key,
@columns@,
  received_at timestamptz not null default now()
);
@added@
comment on table public.@table@ is
  'One row per interaction that crossed an MCPGateway. Written by public.record_@table@ only.';

create index if not exists @table@_started_at on public.@table@ (started_at desc);
create index if not exists @table@_client on public.@table@ (client, started_at desc);
create index if not exists @table@_model on public.@table@ (provider, model, started_at desc);
create index if not exists @table@_errors on public.@table@ (error, started_at desc)
  where error <> '';

-- Nobody reads or writes the table but its owner and who is granted so by hand.
alter table public.@table@ enable row level security;
revoke all on table public.@table@ from public;

-- Takes a batch as a JSON array. A record that is there already is left alone, so a batch may
-- be sent again. SECURITY DEFINER: a caller needs no right on the table, neither to write nor,
-- as ON CONFLICT would ask for, to read.
create or replace function public.record_@table@(batch text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
declare
  stored bigint;
begin
  insert into public.@table@ (
    id, @names@
  )
  select
    r.id, @values@
  from jsonb_to_recordset(batch::jsonb) as @fields@
  on conflict (id) do nothing;
  get diagnostics stored = row_count;
  return jsonb_build_object('schema', @version@, 'stored', stored);
end
$function$;

-- Retention: deletes what is older than `keep`, and says how many rows that were. By hand, or
-- every night where pg_cron is there:
--   select cron.schedule('@table@', '17 3 * * *', $$select public.expire_@table@('90 days')$$);
create or replace function public.expire_@table@(keep interval) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $function$
declare
  deleted bigint;
begin
  delete from public.@table@ where started_at < now() - keep;
  get diagnostics deleted = row_count;
  return deleted;
end
$function$;

revoke all on function public.record_@table@(text) from public;
revoke all on function public.expire_@table@(interval) from public;

do $roles$
declare
  name text;
begin
  if not exists (select from pg_catalog.pg_roles where rolname = '@writer@') then
    create role @writer@ nologin noinherit;
  end if;
  -- Supabase grants everything new in this schema to these; it is taken back.
  foreach name in array array['anon', 'authenticated', '@writer@'] loop
    if exists (select from pg_catalog.pg_roles where rolname = name) then
      execute format('revoke all on table public.@table@ from %I', name);
      execute format('revoke all on function public.record_@table@(text) from %I', name);
      execute format('revoke all on function public.expire_@table@(interval) from %I', name);
    end if;
  end loop;
  if exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
    grant select, delete on table public.@table@ to service_role;
    grant execute on function public.record_@table@(text) to service_role;
    grant execute on function public.expire_@table@(interval) to service_role;
  end if;
  -- PostgREST logs in as this one and becomes the role that a key names.
  if exists (select from pg_catalog.pg_roles where rolname = 'authenticator') then
    grant @writer@ to authenticator;
  end if;
end
$roles$;

@grant@

commit;

notify pgrst, 'reload schema';
"""

_GRANT = """\
grant usage on schema public to @writer@;
grant execute on function public.record_@table@(text) to @writer@;"""


def function_name(table: str) -> str:
    """Name of the insert function of a table."""
    return f"record_{table}"


def migration(table: str = "interactions") -> str:
    """The whole migration for a table of this name.

    Raises:
        ValueError: the name is not a plain lower-case identifier of at most 56 characters.
    """
    added = "\n".join(
        f"alter table public.{table} add column if not exists {name} {kind};"
        for name, kind, _ in _COLUMNS
        # A column without a default cannot be added to a table with rows; these two are as old
        # as the table.
        if name not in {"started_at", "ended_at"}
    )
    return _fill(
        _MIGRATION,
        table,
        columns=",\n".join(f"  {name} {kind}" for name, kind, _ in _COLUMNS),
        added=added,
        names=",\n    ".join(name for name, _, _ in _COLUMNS),
        values=",\n    ".join(value for _, _, value in _COLUMNS),
        fields=_FIELDS,
        grant=_fill(_GRANT, table),
    )


def grant(table: str = "interactions") -> str:
    """The statements that let the writer's role call the insert function.

    Raises:
        ValueError: as `migration` says.
    """
    return _fill(_GRANT, table) + "\nnotify pgrst, 'reload schema';"


def _fill(template: str, table: str, **parts: str) -> str:
    if _NAME.fullmatch(table) is None:
        raise ValueError(f"expected a table name of a-z, 0-9 and _, at most 56 long, not {table!r}")
    parts |= {"table": table, "version": str(SCHEMA_VERSION), "writer": WRITER_ROLE}
    return re.sub("@([a-z]+)@", lambda match: parts[match[1]], template)
