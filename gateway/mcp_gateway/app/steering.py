"""Follows an operator: which configuration counts, and when it is brought into force.

Invariant: `generation` is what is in force. A configuration that is newer is taken up in a task
of its own, the newest first, because bringing one into force may take as long as draining what
it replaces, and the channel must go on answering meanwhile.

A document that is right but names a secret whose file is not there yet is refused and kept: the
kubelet writes a Secret's files up to a minute after the Secret. It is tried again when they change.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mcp_gateway.api import MCPGateway
from mcp_gateway.api.control import GENERATION_ANNOTATION, PORT, Ack, Config, Refused
from mcp_gateway.api.server import PEER_PORT
from mcp_gateway.config.document import parse
from mcp_gateway.config.problem import InvalidDocument, Problem
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.config.watch import FileWatcher
from mcp_gateway.errors import ConfigError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Control:
    """That a gateway has an operator, and where it listens for it.

    Attributes:
        folder: holds `tls.crt`, `tls.key` and `token` of the control port.
        host, port: where it listens; port 0 lets the system choose.
        peer_port: where it listens for the other pods of its gateway.
        pod: the pod's name, for the operator to know that it dialed the right one.
        uid: what tells the pod from one that has its name later; by default its name.
        owns_document: documents come from the operator alone; secrets are followed here.
    """

    folder: Path
    host: str = "0.0.0.0"  # noqa: S104 - of a pod; the peer proves itself by a token
    port: int = PORT
    peer_port: int = PEER_PORT
    pod: str = ""
    uid: str = ""
    owns_document: bool = False


class Steering:
    """Takes configurations and brings the one that counts into force.

    Args:
        document: what is in force at the start.
        apply: brings a document into force; raises `ConfigError`.
        invalid: is told that a document was wrong, to count it.
        secrets: reads what documents name.
        follow_secrets: apply a document again when a secret that it names changes.

    Attributes:
        generation: number of the document in force; 0 where it has none.
        epoch: the highest leadership that has spoken.
        tell: sends an answer that comes later; set by the owner of the channel.
    """

    def __init__(
        self,
        document: MCPGateway,
        apply: Callable[[MCPGateway], Awaitable[None]],
        invalid: Callable[[], None],
        secrets: SecretReader,
        *,
        follow_secrets: bool,
    ) -> None:
        self.generation = written_generation(document)
        self.epoch = 0
        self.tell: Callable[[Ack | Refused], None] = _nobody
        self._document = document
        self._apply = apply
        self._invalid = invalid
        self._secrets = secrets
        self._follow_secrets = follow_secrets
        self._offered: Config | None = None
        self._applying: Config | None = None
        self._waiting: tuple[Config, MCPGateway] | None = None
        self._wake = asyncio.Event()
        self._watcher = self._watch(None)

    def offer(self, config: Config) -> Refused | None:
        """Take a configuration; its answer follows by `tell` unless it is refused here."""
        objection = self._objection(config)
        self.epoch = max(self.epoch, config.epoch)
        if objection:
            fields = {"generation": config.generation, "epoch": config.epoch, "why": objection}
            log.warning("configuration refused", extra={"fields": fields})
            return Refused.because(config.generation, [Problem("", objection)])
        self._offered = config
        self._wake.set()
        return None

    async def run(self) -> None:
        """Bring into force what was offered, and follow secrets, until cancelled."""
        while True:
            async with self._watcher:
                await self._wake.wait()
            self._wake.clear()
            # Looks at the files before they are read, so that no change falls between the two.
            self._watcher = self._watch(self._waiting[1] if self._waiting else None)
            config, self._offered = self._offered, None
            if config is not None:
                await self._take_up(config)
            elif self._waiting is not None:
                await self._bring_into_force(*self._waiting)
            else:
                await self._read_secrets_again()

    # --- which one counts --------------------------------------------------------------

    def _objection(self, config: Config) -> str:
        if config.epoch < self.epoch:
            return f"leadership {config.epoch} has ended; {self.epoch} leads"
        newest = max(
            self.generation,
            *(c.generation for c in (self._offered, self._applying) if c is not None),
            0,
        )
        withdrawn = config.takes_back is not None and config.takes_back >= newest
        if config.generation < newest and not withdrawn:
            return f"generation {config.generation} is older than {newest}, which is here"
        return ""

    # --- bringing it into force --------------------------------------------------------

    async def _take_up(self, config: Config) -> None:
        self._applying, self._waiting = config, None
        try:
            document = parse(
                json.dumps(config.document), source=f"generation {config.generation}"
            ).document
        except InvalidDocument as exc:
            self._invalid()
            # One line of JSON has no lines to point at.
            self._refuse(config, [replace(problem, line=None) for problem in exc.problems])
        else:
            self._watcher = self._watch(document)
            await self._bring_into_force(config, document)
        finally:
            self._applying = None

    async def _bring_into_force(self, config: Config, document: MCPGateway) -> None:
        try:
            # Labels and annotations are the cluster's: only a changed spec changes anything here.
            if document.spec != self._document.spec:
                await self._apply(document)
        except ConfigError as exc:
            self._waiting = (config, document)
            self._refuse(config, [Problem("", str(exc))])
            return
        self._document = document
        self._waiting = None
        self.generation = config.generation
        fields = {"generation": config.generation, "epoch": config.epoch}
        log.info("configuration in force", extra={"fields": fields})
        self.tell(Ack(generation=config.generation))

    async def _read_secrets_again(self) -> None:
        try:
            await self._apply(self._document)
        except ConfigError as exc:
            fields = {"error": str(exc)}
            log.error("secrets refused, the last good ones stay", extra={"fields": fields})

    def _refuse(self, config: Config, problems: list[Problem]) -> None:
        why = "; ".join(str(problem) for problem in problems)
        fields = {"generation": config.generation, "why": why}
        log.error("configuration refused, the last good one stays", extra={"fields": fields})
        self.tell(Refused.because(config.generation, problems))

    def _watch(self, waiting: MCPGateway | None) -> FileWatcher:
        files = self._secrets.files(self._document) if self._follow_secrets else []
        files += self._secrets.files(waiting) if waiting is not None else []
        return FileWatcher(dict.fromkeys(files), self._wake.set)


def written_generation(document: MCPGateway) -> int:
    """The generation that a document says it is; 0 where it says none."""
    text = document.metadata.annotations.get(GENERATION_ANNOTATION, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _nobody(_: Ack | Refused) -> None:
    """Tell nobody: there is no channel yet."""
