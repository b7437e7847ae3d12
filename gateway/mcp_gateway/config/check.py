"""What no single field shows: references between parts, and choices that are worth a look."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from mcp_gateway.api import BUILT_IN_MIDDLEWARE, MCPGateway, Provider, Route, SecretSource, Spec
from mcp_gateway.api.server import is_loopback
from mcp_gateway.config.message import Finding, unknown
from mcp_gateway.config.problem import Path


def references(data: Any) -> Iterator[Finding]:
    """Find names given twice and names of nothing, in data that may be wrong elsewhere too.

    It reads the raw data and not the models, so that these are told together with everything
    else and not only once everything else is right.
    """
    spec = _get(data, "spec")
    names: dict[str, list[str]] = {}
    for section in ("providers", "routes"):
        names[section] = []
        for index, entry in enumerate(_list(spec, section)):
            name = _get(entry, "name")
            if isinstance(name, str) and name in names[section]:
                first = names[section].index(name)
                loc: Path = ("spec", section, index, "name")
                yield Finding(loc, f'"{name}" is taken by {section}[{first}]', "another name")
            names[section].append(str(name))
    for index, route in enumerate(_list(spec, "routes")):
        for number, backend in enumerate(_list(route, "backends")):
            name = _get(backend, "provider")
            if isinstance(name, str) and name not in names["providers"]:
                loc = ("spec", "routes", index, "backends", number, "provider")
                what = f'no provider is called "{name}"'
                yield Finding(loc, *unknown(what, name, names["providers"]))


def layers(section: Any, path: Path, installed: Collection[str]) -> Iterator[Finding]:
    """Find names in a `middleware` list that are neither built in nor installed, and repeats."""
    known = [*BUILT_IN_MIDDLEWARE, *sorted(set(installed) - set(BUILT_IN_MIDDLEWARE))]
    names = _list(section, "middleware")
    for index, name in enumerate(names):
        loc = (*path, "middleware", index)
        if isinstance(name, str) and name not in known:
            what = f'no layer "{name}" is built in or installed'
            yield Finding(loc, *unknown(what, name, known))
        elif name in names[:index]:
            yield Finding(loc, f'"{name}" is named before', "each layer once")


def _get(data: Any, key: str) -> Any:
    return data.get(key) if isinstance(data, dict) else None


def _list(data: Any, key: str) -> list[Any]:
    found = _get(data, key)
    return found if isinstance(found, list) else []


def warnings(document: MCPGateway) -> Iterator[Finding]:
    """Find what is allowed and probably not meant."""
    spec = document.spec
    yield from _layer_warnings(spec)
    yield from _server_warnings(spec)
    for index, provider in enumerate(spec.providers):
        yield from _provider_warnings(spec, provider, ("spec", "providers", index))
    yield from _route_warnings(spec)
    for loc, source in secrets(document):
        if source.value is not None:
            yield Finding(
                loc, "a secret in plain text: whoever reads the document has it", "secretRef or env"
            )


def _layer_warnings(spec: Spec) -> Iterator[Finding]:
    loc: Path = ("spec", "middleware")
    order = {name: index for index, name in enumerate(spec.middleware)}
    if spec.rate_limit is not None and "rate_limit" not in order:
        yield Finding(loc, "rateLimit has no effect without the rate_limit layer")
    if spec.auth.model_fields_set and "auth" not in order:
        yield Finding(loc, "auth has no effect without the auth layer")
    if order.get("rate_limit", 99) < order.get("auth", -1):
        yield Finding(loc, "rate_limit before auth counts all clients as one", "auth first")


def _server_warnings(spec: Spec) -> Iterator[Finding]:
    server = spec.server
    if not is_loopback(server.admin_host) and server.admin_token is None:
        loc = ("spec", "server", "adminHost")
        yield Finding(
            loc, "without adminToken only probes and metrics are answered here", "adminToken"
        )


def _provider_warnings(spec: Spec, provider: Provider, loc: Path) -> Iterator[Finding]:
    size, overflow = provider.pool_caps(spec.tuning, replicas=spec.largest_replicas)
    pool = (*loc, "pool")
    if provider.pool.min_connections > size + overflow:
        message = f"minConnections is more than the {size + overflow} that may be open"
        yield Finding((*pool, "minConnections"), message, "a higher maxConnections, or fewer")
    known = provider.effective_limits().concurrency
    pods = 1 if spec.tuning.mode == "Auto" else spec.largest_replicas
    if known is not None and (size + overflow) * pods > max(known, pods):
        message = f"{size + overflow} in each of {pods} pods is over the account's {known}"
        yield Finding((*pool, "maxConnections"), message, f"at most {max(1, known // pods)}")


def _route_warnings(spec: Spec) -> Iterator[Finding]:
    used = {backend.provider for route in spec.routes for backend in route.backends}
    for index, provider in enumerate(spec.providers):
        if spec.routes and provider.name not in used:
            loc = ("spec", "providers", index, "name")
            yield Finding(loc, f'no route leads to "{provider.name}"')
    for index, route in enumerate(spec.routes[:-1]):
        if _takes_everything(route):
            loc = ("spec", "routes", index + 1, "name")
            yield Finding(loc, f'never reached: "{route.name}" before it takes everything')
            break


def _takes_everything(route: Route) -> bool:
    match = route.match
    return all(
        pattern in (None, ".*")
        for pattern in (match.provider, match.model, match.tool, match.method, match.client)
    )


def secrets(document: MCPGateway) -> Iterator[tuple[Path, SecretSource]]:
    """Every secret the document names, with its place."""
    spec = document.spec
    found: list[tuple[Path, SecretSource | None]] = [
        (("spec", "server", "adminToken"), spec.server.admin_token),
        (("spec", "auth", "apiKeys"), spec.auth.api_keys),
    ]
    for index, provider in enumerate(spec.providers):
        loc: Path = ("spec", "providers", index)
        found.append(((*loc, "apiKey"), provider.api_key))
        found.append(((*loc, "caBundle"), provider.ca_bundle))
        if provider.proxy is not None:
            found.append(((*loc, "proxy", "credentials"), provider.proxy.credentials))
    if (supabase := spec.recording.supabase) is not None:
        found.append((("spec", "recording", "supabase", "key"), supabase.key))
        found.append((("spec", "recording", "supabase", "apiKey"), supabase.api_key))
    return ((loc, source) for loc, source in found if source is not None)
