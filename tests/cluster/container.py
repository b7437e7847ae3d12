"""One container of a pod as a local process: started, probed, restarted and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from tests.cluster import probe
from tests.cluster.api import Object
from tests.cluster.command import Paths, command_line, expand, pullable, translated
from tests.cluster.program import tied
from tests.cluster.volume import SourceMissing

# The kubelet begins with ten seconds and goes up to five minutes.
FIRST_BACKOFF = 0.25
LONGEST_BACKOFF = 5.0
STEADY_AFTER = 10.0
RETRY_SOURCE = 0.25


def now() -> str:
    """Return the time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Room:
    """What a pod gives to each of its containers."""

    environment: Callable[[Object], dict[str, str]]
    """The variables of a container; raises SourceMissing."""
    paths: Callable[[Object], Paths]
    target: Callable[[Object, probe.Execute], probe.Target]
    folder: Path
    log: Callable[[str], Path]
    changed: Callable[[], None]
    restart_policy: str


class Container:
    """A container and what the API is told of it.

    Attributes:
        name: of the container.
        ready: it runs and its readiness probe agrees.
        started: it runs and its startup probe has passed.
        state, last_state: as in `status.containerStatuses`.
    """

    def __init__(self, spec: Object, room: Room, restarts: int) -> None:
        self.name: str = spec["name"]
        self.ready = False
        self.started = asyncio.Event()
        self.state: Object = {"waiting": {"reason": "PodInitializing"}}
        self.last_state: Object = {}
        self._spec = spec
        self._room = room
        self._restarts = restarts
        self._process: asyncio.subprocess.Process | None = None
        self._ending = False
        self._began = ""
        self._probes: list[asyncio.Task[None]] = []

    @property
    def running(self) -> bool:
        """It has a process."""
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """The exit status of a container that has ended for good."""
        code = self.state.get("terminated", {}).get("exitCode")
        return None if code is None else int(code)

    def status(self) -> Object:
        """Return its entry for `status.containerStatuses`."""
        pid = self._process.pid if self._process is not None else None
        image = self._spec["image"]
        return {
            "name": self.name,
            "image": image,
            "imageID": image if pid else "",
            "containerID": f"process://{pid}" if pid else "",
            "ready": self.ready,
            "started": self.started.is_set(),
            "restartCount": self._restarts,
            "state": self.state,
            "lastState": self.last_state,
        }

    async def run(self, restart_policy: str | None = None) -> int:
        """Run it, again and again as the policy says, and return its last exit status."""
        policy = restart_policy or self._room.restart_policy
        backoff = FIRST_BACKOFF
        while True:
            began = time.monotonic()
            code = await self._run_once()
            if self._ending or policy == "Never" or (policy == "OnFailure" and code == 0):
                return code
            if time.monotonic() - began > STEADY_AFTER:
                backoff = FIRST_BACKOFF
            self.last_state = self.state
            self._set({"waiting": {"reason": "CrashLoopBackOff"}})
            await asyncio.sleep(backoff)
            if self._ending:
                return code
            backoff = min(backoff * 2, LONGEST_BACKOFF)
            self._restarts += 1

    async def end(self, grace: float) -> None:
        """End it: the preStop hook, SIGTERM, and SIGKILL when `grace` seconds are over."""
        self._ending = True
        deadline = time.monotonic() + grace
        process = self._process
        if process is None or not self.running:
            return
        hook = self._spec.get("lifecycle", {}).get("preStop")
        if hook and grace > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await probe.check({"timeoutSeconds": grace, **hook}, self._target())
        await self._terminate(process, max(0.0, deadline - time.monotonic()))

    async def _terminate(self, process: asyncio.subprocess.Process, grace: float) -> None:
        if grace > 0:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await process.wait()
        kill_group(process.pid)
        await process.wait()

    async def _run_once(self) -> int:
        arguments, variables = await self._prepared()
        log = self._room.log(self.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        self._began = now()
        try:
            with log.open("ab") as output:
                self._process = await self._start(arguments, variables, output)
        except OSError as error:
            self._ended(128, str(error))
            return 128
        self._set({"running": {"startedAt": self._began}})
        self._start_probes()
        try:
            code = await self._process.wait()
        finally:
            for task in self._probes:
                task.cancel()
            await asyncio.gather(*self._probes, return_exceptions=True)
            kill_group(self._process.pid)  # what the process left behind ends with it
        code = 128 - code if code < 0 else code
        self._ended(code, "")
        return code

    def _ended(self, code: int, message: str) -> None:
        self.ready = False
        self.started.clear()
        facts = {
            "exitCode": code,
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": self._began,
            "finishedAt": now(),
            "containerID": self.status()["containerID"],
        }
        if message:
            facts["message"] = message
        self._set({"terminated": facts})

    async def _prepared(self) -> tuple[list[str], dict[str, str]]:
        """Return the command line and environment, once everything they name is there."""
        while True:
            try:
                if not pullable(self._spec["image"]):
                    message = f"there is no image {self._spec['image']}"
                    self._set({"waiting": {"reason": "ImagePullBackOff", "message": message}})
                else:
                    variables = self._room.environment(self._spec)
                    paths = self._room.paths(self._spec)
                    return command_line(self._spec, variables, paths), variables
            except SourceMissing as error:
                reason = "CreateContainerConfigError"
                self._set({"waiting": {"reason": reason, "message": str(error)}})
            await asyncio.sleep(RETRY_SOURCE)

    def _folder(self) -> Path:
        wanted = self._spec.get("workingDir")
        place = self._room.paths(self._spec).translate(wanted) if wanted else ""
        return Path(place) if place and Path(place).is_dir() else self._room.folder

    def _target(self) -> probe.Target:
        return self._room.target(self._spec, self._execute)

    async def _execute(self, command: list[str]) -> str | None:
        variables = self._room.environment(self._spec)
        words = translated([expand(word, variables) for word in command], self._paths())
        process = await self._start(words, variables, asyncio.subprocess.DEVNULL)
        try:
            code = await process.wait()
        finally:
            kill_group(process.pid)
        return None if code == 0 else f"{command[0]} exited with {code}"

    async def _start(
        self, words: list[str], variables: dict[str, str], output: IO[bytes] | int
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *tied(words), env=variables, cwd=self._folder(), stdin=asyncio.subprocess.DEVNULL,
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip

    def _paths(self) -> Paths:
        return self._room.paths(self._spec)

    def _start_probes(self) -> None:
        self._probes = [asyncio.create_task(self._probe(), name=f"probes of {self.name}")]

    async def _probe(self) -> None:
        """Run the probes of one run of the container, the startup probe before the others."""
        target = self._target()
        if "startupProbe" in self._spec and not await probe.started(
            self._spec["startupProbe"], target
        ):
            self._unhealthy(False, "startup")
            return
        self.started.set()
        self.ready = "readinessProbe" not in self._spec
        self._room.changed()
        async with asyncio.TaskGroup() as group:
            for word, initially, report in (
                ("readinessProbe", False, self._readiness),
                ("livenessProbe", True, self._unhealthy),
            ):
                if word in self._spec:
                    watching = probe.watch(
                        self._spec[word], target, initially=initially, report=report
                    )
                    group.create_task(watching, name=f"{word} of {self.name}")

    def _readiness(self, good: bool, _: str) -> None:
        self.ready = good
        self._room.changed()

    def _unhealthy(self, good: bool, _: str) -> None:
        """Have a container that fails its liveness or startup probe ended, to be restarted."""
        if good or self._ending or self._process is None:
            return
        ending = self._terminate(self._process, 5.0)
        self._probes.append(asyncio.create_task(ending, name=f"restart of {self.name}"))

    def _set(self, state: Object) -> None:
        if state != self.state:
            self.state = state
            self._room.changed()


def kill_group(pid: int) -> None:
    """Kill what is left of the process group that a container's process led."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def ports(spec: Object) -> dict[str, int]:
    """Return the named ports of a container."""
    named = (entry for entry in spec.get("ports") or [] if "name" in entry)
    return {entry["name"]: int(entry["containerPort"]) for entry in named}
