"""What is kept of every interaction, where, and what a crash may cost."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mcp_gateway.api.fields import (
    JSON_PATH,
    RE2,
    TABLE,
    Duration,
    DurationOrZero,
    HttpUrl,
    Model,
    Rule,
    Size,
    Transition,
    exactly_one,
)
from mcp_gateway.api.secret import SecretSource

RecordingMode = Literal["metadata", "prompts", "responses", "all"]


class Spool(Model):
    """The local SQLite file that takes every record before anything else does."""

    path: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """The file. Without it: `spool.db` in the gateway's data folder."""

    size: Size = 2**30
    """Largest size of the file. `1Gi` holds about two million records without content."""

    max_age: Duration = 604_800.0
    """Age at which a record leaves the spool, shipped or not. Losing one that was not shipped
    is counted."""

    when_full: Literal["drop_oldest", "drop_newest"] = "drop_oldest"
    """Who gives way at `size`. Shipped records go first in either case. What is lost is
    counted by reason; requests are never slowed."""

    keep_shipped: bool = False
    """Keep records here after the database has them, until `size` or `maxAge`."""

    storage: Literal["ephemeral", "persistent"] = "ephemeral"
    """What the loss of a pod may cost. `ephemeral`: what was not yet shipped when it was
    deleted. `persistent`: nothing; the gateway runs as a StatefulSet with a volume each. On a
    laptop both are a file."""

    storage_class_name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """StorageClass of the volumes, for `persistent`. Without it: the cluster's default."""

    transitions = (
        Transition(
            "storage",
            "!has(self.storage) || oldSelf.storage != 'persistent' || self.storage == 'persistent'",
            "a persistent spool stays so, or what was not shipped yet goes with the volumes: make"
            " another gateway, and delete this one once its spool is empty",
        ),
        Transition(
            "size",
            "!has(self.storage) || oldSelf.storage != 'persistent' || self.size == oldSelf.size",
            "a persistent spool keeps its size, as volumes do: make another gateway",
        ),
        Transition(
            "storage_class_name",
            "!has(self.storage) || oldSelf.storage != 'persistent' || (has(self.storageClassName)"
            " ? has(oldSelf.storageClassName) && self.storageClassName == oldSelf.storageClassName"
            " : !has(oldSelf.storageClassName))",
            "a persistent spool keeps its class, as volumes do: make another gateway",
        ),
    )


class Supabase(Model):
    """The database that records are shipped to. Needs the extra `mcp-gateway[supabase]`."""

    url: HttpUrl
    """The project's address: `https://abcdefgh.supabase.co`."""

    key: SecretSource
    """An API key. Best is one of a role that can only call the insert function, which
    `mcp-gateway supabase-schema` makes; the service role's works too, with a warning."""

    api_key: SecretSource | None = None
    """The project's publishable key, where `key` is a token of the role that can only write:
    Supabase's front door asks for a key of the project beside it. Without it: `key`."""

    table: Annotated[str, Field(max_length=56, pattern=TABLE)] = "interactions"
    """The table, as `mcp-gateway supabase-schema` makes it."""

    batch: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Most records in one insert."""

    interval: Duration = 1.0
    """Longest time a record waits for others before it is shipped."""

    concurrency: Annotated[int, Field(ge=1, le=16)] = 2
    """Inserts on the way at once."""

    timeout: Duration = 15.0
    """Time after which an insert counts as failed. It is sent again; a record arrives once
    however often it is sent."""

    max_backoff: Duration = 60.0
    """Longest pause between tries while the database is away."""


class RedactRule(Model):
    """Something to take out of requests and responses before they are written anywhere."""

    path: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=512,
                pattern=JSON_PATH,
            ),
        ]
        | None
    ) = None
    """A place in the JSON of the request or response: `messages[*].content`, `user`."""

    regex: RE2 | None = None
    """An expression; every part of a text that it matches is replaced: `sk-[A-Za-z0-9]{20,}`.
    Unlike a route's, it may match anywhere."""

    pattern: Literal["keys", "emails", "phones"] | None = None
    """A ready-made expression: API keys and tokens, e-mail addresses, or telephone numbers in
    their usual forms."""

    replacement: Annotated[str, Field(max_length=256)] = "[redacted]"
    """What stands there instead."""

    rules = (
        Rule(
            ("path", "regex", "pattern"),
            lambda r: exactly_one(r.path, r.regex, r.pattern),
            "[has(self.path), has(self.regex), has(self.pattern)].filter(x, x).size() == 1",
            "give exactly one of path, regex and pattern",
        ),
    )


class Recording(Model):
    """Every interaction becomes a record: ids, times, route, provider, tokens, outcome."""

    enabled: bool = True
    """Record at all."""

    mode: RecordingMode = "metadata"
    """What content is kept beside the facts: none (`metadata`), the request (`prompts`), the answer
    (`responses`), or both (`all`)."""

    durability: Literal["async", "sync"] = "async"
    """What a crash may cost. `async`: the records of the last `commitInterval`; requests never
    wait. `sync`: nothing; an answer waits until its record is on disk."""

    commit_interval: DurationOrZero = 0.05
    """Longest time between an answer and its record being on disk, in `async`."""

    batch: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Records that are written to disk together at most."""

    queue: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Records waiting in memory for the disk. Beyond it records are dropped and counted; requests
    are never slowed."""

    spool: Spool = Spool()
    """The file on disk."""

    supabase: Supabase | None = None
    """The database. Without it records stay in the spool, where `mcp-gateway records` reads
    them."""

    redact: Annotated[list[RedactRule], Field(max_length=64)] = Field(default=[])
    """What is taken out of content before it is written. Credentials never get in."""

    hash_clients: bool = False
    """Write a hash in place of a client's name and address. The hash is the same for the same
    client, so that counts still work."""

    transitions = (
        Transition(
            "enabled",
            "!has(self.enabled) || self.enabled || !oldSelf.enabled"
            " || oldSelf.spool.storage != 'persistent'",
            "a persistent spool stays enabled, or what was not shipped yet goes with the volumes:"
            " make another gateway, or record less with mode: metadata",
        ),
    )
