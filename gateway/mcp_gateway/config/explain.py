"""What a document comes to: every setting in force, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from mcp_gateway.api import MCPGateway, Pool, Provider, RateLimit, Spec
from mcp_gateway.config.document import Loaded
from mcp_gateway.config.problem import Path, spell


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting in force.

    Attributes:
        path: where it stands, or would stand, in the document.
        value: in the document's own form: `30s`, `4Mi`, numbers, text, lists of them.
        origin: `file line N`, `mcp.yaml line N`, `mcp.yaml`, `default`, `preset kimi-tier2`, or
            what it follows from.
    """

    path: str
    value: object
    origin: str


def explain(loaded: Loaded) -> list[Setting]:
    """List every setting in force, in the schema's order. Secrets in plain text are masked.

    What is not set and has no effect is left out.
    """
    written = loaded.document
    in_force, reasons = _in_force(written)
    dumped = in_force.model_dump(by_alias=True, mode="json", warnings=False)
    return list(_Walk(loaded, reasons).part(in_force, dumped, written, ()))


def _in_force(document: MCPGateway) -> tuple[MCPGateway, dict[Path, str]]:
    """The document with everything that follows from it filled in, and what it follows from."""
    spec = document.spec
    reasons: dict[Path, str] = {}
    if not spec.routes:
        reasons[("spec", "routes")] = "implied by the providers"
    providers = [
        _provider_in_force(spec, provider, ("spec", "providers", index), reasons)
        for index, provider in enumerate(spec.providers)
    ]
    update: dict[str, Any] = {"providers": providers, "routes": spec.effective_routes()}
    if spec.rate_limit is not None:
        update["rate_limit"] = _rate_limit_in_force(spec.rate_limit)
        reasons[("spec", "rateLimit", "burst")] = "a tenth of requests"
    return document.model_copy(update={"spec": spec.model_copy(update=update)}), reasons


def _rate_limit_in_force(rate_limit: RateLimit) -> RateLimit:
    return rate_limit.model_copy(update={"burst": rate_limit.burst_size})


def _provider_in_force(
    spec: Spec, provider: Provider, path: Path, reasons: dict[Path, str]
) -> Provider:
    update: dict[str, Any] = {
        "endpoints": provider.effective_endpoints(),
        "pool": _pool_in_force(spec, provider),
    }
    if update["endpoints"] and not provider.endpoints:
        reasons[(*path, "endpoints")] = f"default of type {provider.type}"
    known = provider.effective_limits().concurrency is not None
    unknown = "the account's share" if spec.tuning.mode == "Auto" else "default"
    reasons[(*path, "pool", "maxConnections")] = "the account's limit" if known else unknown
    if provider.tier is not None:
        update["limits"] = provider.effective_limits()
        reasons[(*path, "limits")] = f"preset {provider.tier}"
    if provider.type == "simulator":
        update["simulator"] = provider.simulator_settings
    return provider.model_copy(update=update)


def _pool_in_force(spec: Spec, provider: Provider) -> Pool:
    size, overflow = provider.pool_caps(spec.tuning, replicas=spec.largest_replicas)
    return provider.pool.model_copy(update={"max_connections": size, "max_overflow": overflow})


class _Walk:
    """Goes through what is in force beside what was written."""

    def __init__(self, loaded: Loaded, reasons: dict[Path, str]) -> None:
        self._lines = loaded.lines
        self._file = "mcp.yaml" if loaded.form == "mcp.yaml" else "file"
        self._reasons = reasons

    def part(self, value: Any, dumped: Any, written: Any, path: Path) -> Iterator[Setting]:
        """List the settings at and below one place.

        Args:
            value: what is in force there.
            dumped: the same in the document's form.
            written: what was written there; None where nothing was.
            path: the place.
        """
        if isinstance(value, BaseModel):
            given = written.model_fields_set if isinstance(written, BaseModel) else frozenset()
            for name, field in type(value).model_fields.items():
                key = str(field.alias)
                if field.exclude or getattr(value, name) is None:
                    continue
                inner = getattr(written, name) if name in given else None
                yield from self.part(getattr(value, name), dumped[key], inner, (*path, key))
            return
        entries = _entries(value)
        if not any(isinstance(entry, BaseModel) for _, entry in entries):
            yield Setting(spell(path), dumped, self._origin(path, written is not None))
            return
        present = dict(_entries(written))
        for place, entry in entries:
            yield from self.part(entry, dumped[place], present.get(place), (*path, place))

    def _origin(self, path: Path, given: bool) -> str:
        if path in self._lines and given:
            return f"{self._file} line {self._lines[path]}"
        if given:
            return self._file
        while path:
            if path in self._reasons:
                return self._reasons[path]
            path = path[:-1]
        return "default"


def _entries(value: Any) -> list[tuple[str | int, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []
