"""Which numbered configuration a gateway's pods are to run, and which its ConfigMap is to hold.

The number counts changes of the document that pods read. The ConfigMap holds the one that is
promoted, with its number and digest as annotations, so that nothing else need be remembered:
the same document has the same number after any restart of the operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import yaml

from mcp_gateway_operator.cluster import Cluster
from mcp_gateway_operator.facts import Document, FleetView, Key
from mcp_gateway_operator.reconcile.store import Child, ChildId
from mcp_gateway_operator.render import digest, document
from mcp_gateway_operator.render.config_map import FILE, SUFFIX
from mcp_gateway_operator.render.gateway import CONFIG_DIGEST, CONFIG_GENERATION, Gateway
from mcp_gateway_operator.render.kind import CONFIG_MAP


class _ConfigMap(msgspec.Struct, frozen=True):
    data: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Config:
    """One gateway's configuration.

    Attributes:
        wanted: what all pods are to run.
        promoted: what a pod reads at its start; None before there is one.
        written: the generation to render the ConfigMap with.
        write: the ConfigMap is to be rendered; false until a pod has taken the document, and
            while a canary is watched.
    """

    wanted: Document
    promoted: Document | None
    written: int
    write: bool


class Configuration:
    """Numbers documents.

    Args:
        cluster: to read what is promoted while another document is tried.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._candidates: dict[Key, tuple[str, int]] = {}
        self._promoted: dict[Key, Document] = {}

    def begin(self) -> None:
        """Begin a leadership: another leader may have counted on since."""
        self._candidates.clear()
        self._promoted.clear()

    async def of(
        self,
        gateway: Gateway,
        status: Mapping[str, Any],
        children: Mapping[ChildId, Child],
        view: FleetView,
    ) -> Config:
        """Find a gateway's configuration.

        Raises:
            ClusterError: the promoted one could not be read.
        """
        body = document(gateway)
        child = children.get(("ConfigMap", gateway.name + SUFFIX))
        held = number_of(child.annotations.get(CONFIG_GENERATION, "")) if child else 0
        same = child is not None and child.annotations.get(CONFIG_DIGEST) == digest(body)
        number = self._numbered(gateway.key, digest(body), held, same, status)
        wanted = Document(number, body)
        if not held or number == held or view.promoted >= number:
            self._promoted.pop(gateway.key, None)
            return Config(wanted, wanted, number, write=True)
        return Config(wanted, await self._read(gateway, held), held, write=False)

    def forget(self, key: Key) -> None:
        """Lose what is remembered of a gateway that is gone."""
        self._candidates.pop(key, None)
        self._promoted.pop(key, None)

    def _numbered(
        self, key: Key, now: str, held: int, same: bool, status: Mapping[str, Any]
    ) -> int:
        known, number = self._candidates.get(key, ("", 0))
        if known == now and number >= held:
            return number
        highest = max(held, number, int(status.get("configGeneration") or 0))
        # A document that comes back after others were tried is a new one: pods that tried
        # those take no older number.
        number = held if same and highest == held else highest + 1
        self._candidates[key] = (now, number)
        return number

    async def _read(self, gateway: Gateway, number: int) -> Document | None:
        known = self._promoted.get(gateway.key)
        if known is not None and known.generation == number:
            return known
        found = await self._cluster.get(
            CONFIG_MAP, gateway.key.namespace, gateway.name + SUFFIX, _ConfigMap
        )
        if found is None or FILE not in found.data:
            return None
        body = yaml.safe_load(found.data[FILE])
        body["metadata"].pop("annotations", None)
        promoted = Document(number, body)
        self._promoted[gateway.key] = promoted
        return promoted


MOST: Final = 2**53


def number_of(text: str) -> int:
    """A generation out of an annotation, which anybody may have written."""
    return min(int(text), MOST) if text.isdecimal() else 0
