from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.postgres import Postgres
from tests.support.postgrest import JWT_SECRET, Project

from mcp_gateway.recording.schema import migration
from mcp_gateway.recording.supabase import SupabaseDestination, SupabaseSettings


@pytest.fixture(scope="session")
def running_project() -> Iterator[Project]:
    with Postgres() as postgres, Project(postgres) as project:
        project.migrate(migration())
        yield project


@pytest.fixture
def project(running_project: Project) -> Iterator[Project]:
    """The project with an empty table, and nothing wrong with it."""
    running_project.postgres.sql("truncate public.interactions")
    yield running_project
    running_project.proxy.fault = None
    if running_project.jwt_secret != JWT_SECRET:
        running_project.rotate_secret(JWT_SECRET)


@pytest.fixture
def writer(project: Project) -> Iterator[SupabaseDestination]:
    """A destination with the key that can write and not read."""
    with closing(connect(project, project.key("mcp_gateway_writer"))) as destination:
        yield destination


def connect(project: Project, key: str, timeout: float = 10.0) -> SupabaseDestination:
    settings = SupabaseSettings(
        url=project.url, key=key, api_key=project.key("anon"), timeout=timeout
    )
    return SupabaseDestination(settings)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "data" / "spool.db"
