"""The gateway as a process: a document and signals in, a banner and an exit status out."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import resource
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mcp_gateway.api import MCPGateway, Server
from mcp_gateway.app import Gateway
from mcp_gateway.app.steering import Control
from mcp_gateway.cli import banner, terminal
from mcp_gateway.cli.check import problem_table
from mcp_gateway.concurrency.supervisor import Supervisor
from mcp_gateway.config import document as documents
from mcp_gateway.config.document import InvalidDocument, Loaded
from mcp_gateway.config.problem import Problem
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.config.watch import FileWatcher
from mcp_gateway.errors import ConfigError
from mcp_gateway.proxy.exchange import ANONYMOUS
from mcp_gateway.telemetry import logs

log = logging.getLogger(__name__)

_MODELS_PATIENCE = 2.0
_WATCH_SECRETS = "watch the secrets"
_TAKEN = (
    "is a gateway running already? `mcp-gateway run FILE --port 0 --admin-port 0` takes free ports"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway finds what it needs, and what the command line says over the document.

    Attributes:
        file: the document.
        secrets_dir: folder of secrets; None where there is none.
        data_dir: folder of what the gateway keeps.
        server: fields of `spec.server` that take the place of the document's.
        bind: address to listen on where the document says 0.0.0.0; or empty.
        control: that there is an operator, and where to listen for it.
    """

    file: Path
    secrets_dir: Path | None
    data_dir: Path
    server: Mapping[str, Any]
    bind: str = ""
    control: Control | None = None


class Service:
    """One gateway from its document to its end. Made and used once."""

    def __init__(self, place: Place, environ: Mapping[str, str]) -> None:
        self._place = place
        self._secrets = SecretReader(place.secrets_dir, environ)
        self._reloads = asyncio.Event()
        self._ends = asyncio.Event()
        # Looks at the file before it is read, so that no change falls between the two.
        self._document_watcher = FileWatcher([place.file], self._reloads.set)
        self._secrets_watcher = FileWatcher([], self._reloads.set)

    def load(self) -> Loaded:
        """Read the document, with what the command line says over it.

        Raises:
            InvalidDocument: with every problem of it.
            ConfigError: what the command line says does not fit the document.
        """
        loaded = documents.load(self._place.file)
        document = _overridden(loaded.document, self._place.server)
        return replace(loaded, document=document)

    async def run(self, document: MCPGateway, *, as_json: bool) -> None:
        """Serve until a signal says to end, then drain."""
        self._secrets_watcher = self._watcher_of_secrets(document)
        gateway = Gateway(
            document,
            secrets=self._secrets,
            data_dir=self._place.data_dir,
            control=self._place.control,
            bind=self._place.bind,
        )
        tasks = Supervisor()
        try:
            async with gateway:
                self._listen_to_signals()
                await self._announce(gateway, as_json=as_json)
                _settle_memory()
                self._follow_files(gateway, tasks)
                await self._ends.wait()
                await tasks.aclose()
                log.info("draining", extra={"fields": {"grace": _grace(gateway)}})
        finally:
            # A second signal cancels the draining; what is open is closed all the same.
            await tasks.aclose()
            await gateway.aclose()

    # --- signals -----------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None, "signals end the task that runs the gateway"
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, task)
        # Asked now: a terminal that went away is none any more.
        in_terminal = sys.stderr.isatty()
        loop.add_signal_handler(signal.SIGHUP, self._hang_up, task, in_terminal)

    def _hang_up(self, task: asyncio.Task[Any], in_terminal: bool) -> None:
        """Read the document again; or end, where the signal says that the terminal was closed."""
        if in_terminal and not sys.stderr.isatty():
            self._end(task)
        else:
            self._reloads.set()

    def _end(self, task: asyncio.Task[Any]) -> None:
        if self._ends.is_set():
            task.cancel()
        self._ends.set()

    # --- reload ------------------------------------------------------------------------

    def _follow_files(self, gateway: Gateway, tasks: Supervisor) -> None:
        control = self._place.control
        if control is not None and control.owns_document:
            return  # the gateway follows its operator, and the secrets that documents name
        tasks.start("watch the document", self._document_watcher.run)
        tasks.start("reload", lambda: self._reload(gateway, tasks))

    async def _reload(self, gateway: Gateway, tasks: Supervisor) -> None:
        """Take the document up again whenever it, or a secret it names, changes."""
        while True:
            tasks.start(_WATCH_SECRETS, self._secrets_watcher.run)
            await self._reloads.wait()
            self._reloads.clear()
            await tasks.stop(_WATCH_SECRETS)
            await self._take_up(gateway)

    async def _take_up(self, gateway: Gateway) -> None:
        """Apply the document as it is now, or log why not."""
        # Secrets are looked at before they are read, so that no change falls between the two.
        self._secrets_watcher = self._watcher_of_secrets(gateway.document)
        try:
            loaded = self.load()
            self._secrets_watcher = self._watcher_of_secrets(loaded.document)
            await gateway.apply(loaded.document)
        except (ConfigError, OSError) as exc:
            fields = {"file": str(self._place.file), "error": str(exc)}
            log.error("document refused, the last good one stays", extra={"fields": fields})
        else:
            for warning in loaded.warnings:
                log.warning("document", extra={"fields": {"warning": str(warning)}})

    def _watcher_of_secrets(self, document: MCPGateway) -> FileWatcher:
        return FileWatcher(self._secrets.files(document), self._reloads.set)

    # --- start -------------------------------------------------------------------------

    async def _announce(self, gateway: Gateway, *, as_json: bool) -> None:
        facts = await _facts(gateway, self._place)
        if as_json:
            terminal.out_json(banner.as_json(facts, os.getpid()))
        else:
            terminal.say(banner.as_text(facts, sys.stderr))


def _settle_memory() -> None:
    """Take what was loaded and compiled so far out of the garbage collector's rounds.

    It lives as long as the process. Looking through it again and again costs each request
    microseconds; so does looking after every 700 new objects, where requests leave no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _allow_many_connections() -> None:
    """Use as many files as the system lets this process have: each connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def say_problems(problems: Sequence[Problem]) -> None:
    """Tell people what is wrong with a document."""
    terminal.say(problem_table(problems, sys.stderr))


def _grace(gateway: Gateway) -> float:
    return gateway.document.spec.server.shutdown_grace


def _overridden(document: MCPGateway, given: Mapping[str, Any]) -> MCPGateway:
    """Return the document with fields of `spec.server` replaced, its rules checked again."""
    if not given:
        return document
    try:
        server = Server.model_validate({**dict(document.spec.server), **given})
        spec = type(document.spec).model_validate({**dict(document.spec), "server": server})
    except ValidationError as exc:
        reasons = "; ".join(error["msg"] for error in exc.errors())
        raise ConfigError(f"--host, --port, --admin-port: {reasons}") from exc
    return document.model_copy(update={"spec": spec})


async def _facts(gateway: Gateway, place: Place) -> banner.Facts:
    document = gateway.document
    urls = {name: banner.reachable(url) for name, url in gateway.urls.items()}
    provider, model = await _something_to_call(gateway)
    return banner.Facts(
        name=document.metadata.name,
        file=str(place.file),
        websocket=urls.get("websocket", ""),
        http=urls.get("http", ""),
        openai=urls.get("openai", ""),
        admin=urls.get("admin", ""),
        control=urls.get("control", ""),
        peer=urls.get("peer", ""),
        spool=str(gateway.spool_path or ""),
        providers={provider.name: provider.type for provider in document.spec.providers},
        api_key=gateway.generated_key,
        needs_key=not document.spec.auth.anonymous and "auth" in document.spec.middleware,
        provider=provider,
        model=model,
        program=command_name(sys.argv[0]),
        everywhere=banner.on_all_addresses(document.spec.server.host, place.bind),
    )


def command_name(started_as: str) -> str:
    """Return what to type for this program: its name, or its file where the path has it not."""
    name = "mcp-gateway"
    if Path(started_as).name != name or shutil.which(name) == shutil.which(started_as):
        return name
    return started_as


async def _something_to_call(gateway: Gateway) -> tuple[str, str]:
    """Return a provider and a model of it for the examples; empty where none answers soon."""
    try:
        async with asyncio.timeout(_MODELS_PATIENCE):
            models = await gateway.engine.catalog.models(ANONYMOUS)
    except TimeoutError:
        models = []
    if models:
        return models[0].provider, models[0].id
    return gateway.document.spec.providers[0].name, ""


def run_service(place: Place, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Run a gateway to its end and return the exit status of the process."""
    import uvloop  # noqa: PLC0415

    service = Service(place, environ)
    try:
        loaded = service.load()
    except InvalidDocument as exc:
        say_problems(exc.problems)
        terminal.complain(f"{place.file} cannot be run")
        return 2
    if loaded.warnings:
        say_problems(loaded.warnings)
    document = loaded.document
    if missing := SecretReader(place.secrets_dir, environ).problems(document):
        for problem in missing:
            terminal.complain(str(problem))
        return 2
    logs.configure(document.spec.logging.level, text=document.spec.logging.format == "text")
    _allow_many_connections()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(service.run(document, as_json=as_json))
    except asyncio.CancelledError:
        return 128 + signal.SIGINT
    except OSError as exc:
        hint = _TAKEN if exc.errno == errno.EADDRINUSE else ""
        terminal.complain(f"cannot start: {exc.strerror or exc}", hint)
        return 1
    return 0
