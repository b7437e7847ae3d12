"""The Secrets that the operator makes: read, made and renewed here, kept nowhere.

Of a value that passes through only a control token stays in memory, for the fleet to dial
with. Whether something must be done is seen from annotations and versions, so that a
thousand gateways at rest cost no read of a Secret.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from mcp_gateway_operator import pki
from mcp_gateway_operator.cluster import Cluster
from mcp_gateway_operator.cluster.item import Metadata
from mcp_gateway_operator.facts import Credentials, Key
from mcp_gateway_operator.reconcile.store import Child, ChildId, Store
from mcp_gateway_operator.render import digest, sealed, secret
from mcp_gateway_operator.render.gateway import MANAGED_BY_LABEL, MANAGER, SOURCES, Gateway
from mcp_gateway_operator.render.kind import SECRET

log = logging.getLogger(__name__)

AUTHORITY_SECRET: Final = f"{MANAGER}-ca"
LOOK_AGAIN: Final = 12 * 3600.0
"""Seconds between two looks at certificates, which live for months."""


class SecretItem(msgspec.Struct, frozen=True):
    """A Secret, with what is in it."""

    metadata: Metadata
    data: dict[str, str] = {}

    def values(self) -> dict[str, bytes]:
        """What is in it, decoded."""
        return {key: base64.b64decode(value) for key, value in self.data.items()}


@dataclass(frozen=True, slots=True)
class Opened:
    """What opens a gateway's control ports, and since when that is known."""

    credentials: Credentials
    authority: str
    looked_at: float


@dataclass(slots=True)
class Keys:
    """What there is to apply for one gateway.

    Attributes:
        rendered: Secrets to apply, sealed, because something in them changed.
        wanted: all Secrets that the gateway is to have, these and those that are good.
        missing: what the document names and is not there, as sentences.
        credentials: what opens the control ports.
    """

    rendered: list[dict[str, Any]] = field(default_factory=list)
    wanted: set[ChildId] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    credentials: Credentials | None = None


class Keyring:
    """Makes the Secrets of gateways.

    Args:
        cluster: the API server.
        store: what is known of it.
        namespace: where the operator keeps its authority.
        clock: Unix time.
    """

    def __init__(
        self, cluster: Cluster, store: Store, namespace: str, clock: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._namespace = namespace
        self._clock = clock
        self._authority: pki.Authority | None = None
        self._preparing = asyncio.Lock()
        self._digest = ""
        self._renewed_at = float("-inf")
        self._opened: dict[Key, Opened] = {}

    def begin(self) -> None:
        """Begin a leadership: another leader may have renewed anything since."""
        self._renewed_at = float("-inf")
        self._opened.clear()

    async def prepare(self) -> None:
        """Make, read or renew the authority, at most every half day.

        Raises:
            ClusterError: it cannot be.
        """
        async with self._preparing:
            if self._clock() - self._renewed_at >= LOOK_AGAIN:
                await self._prepare()

    async def _prepare(self) -> None:
        held = await self._cluster.get(SECRET, self._namespace, AUTHORITY_SECRET, SecretItem)
        data = held.values() if held is not None else None
        authority = pki.authority(data, self._clock())
        if authority.data() != data:
            await self._keep(authority, held)
        self._authority = authority
        self._digest = digest({"bundle": authority.bundle})
        self._renewed_at = self._clock()

    async def keys(self, gateway: Gateway, children: Mapping[ChildId, Child]) -> Keys:
        """See to one gateway's Secrets; what is to be applied is for the caller to apply.

        Raises:
            ClusterError: something could not be read.
        """
        found = Keys()
        if gateway.needs_client_key:
            self._client(gateway, children, found)
        await self._compiled(gateway, children, found)
        await self._control(gateway, children, found)
        return found

    def forget(self, key: Key) -> None:
        """Lose what is remembered of a gateway that is gone."""
        self._opened.pop(key, None)

    def _client(self, gateway: Gateway, children: Mapping[ChildId, Child], found: Keys) -> None:
        id_ = ("Secret", gateway.name + secret.CLIENT_SUFFIX)
        found.wanted.add(id_)
        # Made once. Whoever changes it afterwards wants another key, and is not corrected.
        if id_ not in children:
            key = "mgw_" + secrets.token_urlsafe(32)
            found.rendered.append(sealed(secret.client(gateway, key)))

    async def _compiled(
        self, gateway: Gateway, children: Mapping[ChildId, Child], found: Keys
    ) -> None:
        references = secret.references(gateway)
        self._store.use(gateway.key, sorted({name for name, _ in references}))
        id_ = ("Secret", gateway.name + secret.SECRETS_SUFFIX)
        child = children.get(id_)
        if child is not None and not child.drifted and child.owner == gateway.uid:
            known = _Sources.read(child.annotations.get(SOURCES, ""))
            if known.versions == self._versions(gateway, references):
                found.wanted.add(id_)
                found.missing = known.sentences()
                return
        data, sources = await self._compile(gateway, references, found)
        found.wanted.add(id_)
        found.missing = sources.sentences()
        found.rendered.append(sealed(secret.compiled(gateway, data, sources.write())))

    def _versions(self, gateway: Gateway, references: list[tuple[str, str]]) -> dict[str, str]:
        return {
            f"{name}/{key}": self._store.secret_version(gateway.key.namespace, name)
            for name, key in references
        }

    async def _compile(
        self, gateway: Gateway, references: list[tuple[str, str]], found: Keys
    ) -> tuple[dict[str, bytes], _Sources]:
        """Read the keys a document names. What is rendered in this turn is not read."""
        fresh = {
            item["metadata"]["name"]: {k: base64.b64decode(v) for k, v in item["data"].items()}
            for item in found.rendered
        }
        data: dict[str, bytes] = {}
        versions: dict[str, str] = {}
        missing: set[str] = set()
        for name in sorted({name for name, _ in references}):
            item = await self._cluster.get(SECRET, gateway.key.namespace, name, SecretItem)
            values = item.values() if item is not None else fresh.get(name, {})
            # What is made in this turn has no version yet: the next turn compiles it again.
            made = "new" if name in fresh else ""
            version = item.metadata.resource_version if item is not None else made
            for key in [key for its, key in references if its == name]:
                versions[f"{name}/{key}"] = version
                if key in values:
                    data[secret.data_key(name, key)] = values[key]
                elif version:
                    missing.add(f"{name}/{key}")
        return data, _Sources(versions, frozenset(missing))

    async def _control(
        self, gateway: Gateway, children: Mapping[ChildId, Child], found: Keys
    ) -> None:
        assert self._authority is not None, "prepared first"
        name = gateway.name + secret.CONTROL_SUFFIX
        child = children.get(("Secret", name))
        found.wanted.add(("Secret", name))
        now = self._clock()
        known = self._opened.get(gateway.key)
        good = child is not None and not child.drifted and child.owner == gateway.uid
        fresh = known is not None and now - known.looked_at < LOOK_AGAIN
        if good and known and fresh and known.authority == self._digest:
            found.credentials = known.credentials
            return
        held = await self._cluster.get(SECRET, gateway.key.namespace, name, SecretItem)
        current = held.values() if held is not None else None
        server_name = pki.server_name(gateway.key.namespace, gateway.name)
        data = pki.control_data(self._authority, server_name, current, now)
        if not good or data != current or held is None:
            found.rendered.append(sealed(secret.control(gateway, data)))
        found.credentials = Credentials(
            data[pki.TOKEN].decode(), self._authority.bundle, server_name
        )
        self._opened[gateway.key] = Opened(found.credentials, self._digest, now)

    async def _keep(self, authority: pki.Authority, held: SecretItem | None) -> None:
        """Write the authority down before anything is signed with it.

        Raises:
            Conflict: another replica was faster; the next try reads what it wrote.
        """
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": AUTHORITY_SECRET,
                "namespace": self._namespace,
                "labels": {MANAGED_BY_LABEL: MANAGER},
            },
            "type": "Opaque",
            "data": {k: base64.b64encode(v).decode() for k, v in authority.data().items()},
        }
        if held is None:
            await self._cluster.create(SECRET, self._namespace, body, msgspec.Raw)
            return
        change = {
            "metadata": {"resourceVersion": held.metadata.resource_version},
            "data": body["data"],
        }
        await self._cluster.patch(SECRET, self._namespace, AUTHORITY_SECRET, change)


@dataclass(frozen=True, slots=True)
class _Sources:
    """What compiled keys were compiled from.

    Attributes:
        versions: of the Secret, by `NAME/KEY`; empty where there is no such Secret.
        missing: the `NAME/KEY` whose Secret is there without that key.
    """

    versions: Mapping[str, str]
    missing: frozenset[str] = frozenset()

    @classmethod
    def read(cls, text: str) -> _Sources:
        """Read what `write` wrote."""
        versions: dict[str, str] = {}
        missing: set[str] = set()
        for part in text.split():
            reference, _, version = part.partition("@")
            if version.endswith("!"):
                missing.add(reference)
            versions[reference] = version.removesuffix("!")
        return cls(versions, frozenset(missing))

    def write(self) -> str:
        """Write them as an annotation: `kimi/api-key@812`, with a `!` for a missing key."""
        return " ".join(
            f"{reference}@{self.versions[reference]}{'!' if reference in self.missing else ''}"
            for reference in sorted(self.versions)
        )

    def sentences(self) -> list[str]:
        """Name what is missing."""
        absent = {ref.partition("/")[0] for ref, version in self.versions.items() if not version}
        said = [f"Secret {name} does not exist" for name in sorted(absent)]
        for reference in sorted(self.missing):
            name, _, key = reference.partition("/")
            said.append(f"Secret {name} has no key {key}")
        return said
