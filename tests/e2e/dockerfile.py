"""Images built by the steps of a Dockerfile, without a container runtime's builder.

Every stage is an overlay file system over a small Debian, a `RUN` is a command in it. That is
enough to prove that the project's Dockerfiles lead to images that work; the base images that
they name come from registries, which tests do not need.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e import archive
from tests.e2e.debian import root_tree, run
from tests.support.cached_install import CACHE, progress

STEP_TIMEOUT = 600.0
BASES = ("python", "debian")
VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\}|(?P<plain>\w+))")

# In a mount namespace of its own, so that what is mounted ends with the step.
STEP = """\
set -e
root=$1; shift
mount --make-rprivate /
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mkdir -p "$root/etc/ssl/certs"
mount --bind /etc/ssl/certs "$root/etc/ssl/certs"
touch "$root/etc/resolv.conf"
mount --bind /etc/resolv.conf "$root/etc/resolv.conf"
"""


class StepFailed(AssertionError):
    """A step of a Dockerfile failed, or is one that is not known here."""


def substitute(text: str, known: Mapping[str, str]) -> str:
    """Replace `$NAME`, `${NAME}` and `${NAME:-default}`; an unknown one becomes empty."""

    def value(found: re.Match[str]) -> str:
        return known.get(found["braced"] or found["plain"], found["default"] or "")

    return VARIABLE.sub(value, text)


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: its word, its options without dashes, and the rest of the line."""

    word: str
    options: list[tuple[str, str]]
    rest: str

    def option(self, name: str) -> str | None:
        """Return the value of an option that may be given once."""
        return dict(self.options).get(name)

    def words(self) -> list[str]:
        """Return the rest as a list: the JSON form, or the shell's words."""
        if self.rest.startswith("["):
            words: list[str] = json.loads(self.rest)
            return words
        return shlex.split(self.rest)


def steps(text: str) -> Iterator[Step]:
    """Read a Dockerfile."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\s*\n", " ", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        options = []
        rest = rest.strip()
        while found := re.match(r"--(\w[\w-]*)(?:=(\S+))?\s+", rest):
            options.append((found[1], found[2] or ""))
            rest = rest[found.end() :]
        yield Step(word.upper(), options, rest)


@dataclass
class Stage:
    """A stage of a build: its layers below, its own files, and the image's settings so far."""

    folder: Path
    below: list[Path]
    arguments: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0"

    @property
    def tree(self) -> Path:
        """Where its whole file system is."""
        return self.folder / "tree"

    @property
    def own(self) -> Path:
        """Where the files are that it added."""
        return self.folder / "own"

    def mount(self) -> None:
        """Lay its own files over those below."""
        for name in ("tree", "own", "work"):
            (self.folder / name).mkdir(parents=True)
        lower = ":".join(map(str, self.below))
        options = f"lowerdir={lower},upperdir={self.own},workdir={self.folder / 'work'}"
        run("mount", "-t", "overlay", "overlay", "-o", options, str(self.tree))

    def inside(self, path: str) -> Path:
        """Return where a path of the image is on this machine."""
        return self.tree / os.path.normpath(os.path.join(self.workdir, path)).lstrip("/")

    def expand(self, text: str) -> str:
        """Replace the variables of a line."""
        return substitute(text, {**self.arguments, **self.environment})


class Build:
    """The build of one Dockerfile. A context manager: leaving it removes all but the archive."""

    def __init__(self, file: Path, context: Path, arguments: Mapping[str, str]) -> None:
        """Build `file` with the folder `context`; `arguments` are values for its ARGs."""
        self._file = file
        self._context = context
        self._given = dict(arguments)
        self._folder = Path(tempfile.mkdtemp(prefix="mcp-gateway-image-"))
        self._stages: dict[str, Stage] = {}
        self._global: dict[str, str] = {}
        self._stage: Stage | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for stage in self._stages.values():
            run("umount", "--lazy", str(stage.tree), check=False)
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self) -> None:
        """Do every step.

        Raises:
            StepFailed: one failed; the message has its words.
        """
        for step in steps(self._file.read_text(encoding="utf-8")):
            if step.word == "FROM":
                self._from(step)
            elif self._stage is None:
                self._argument(step, self._global)
            else:
                self._do(step, self._stage)

    def write(self, name: str, file: Path) -> None:
        """Write the last stage as an image."""
        stage = self._stage
        assert stage is not None, "a Dockerfile has a FROM"
        _mark_deleted(stage.own)
        layers = [archive.layer(path, self._folder / f"{n}.tar") for n, path in enumerate(
            [*reversed(stage.below), stage.own]
        )]  # fmt: skip
        variables = [f"{key}={value}" for key, value in stage.environment.items()]
        settings = {**stage.settings, "Env": variables, "WorkingDir": stage.workdir}
        archive.write(name, layers, {**settings, "User": stage.user}, file)

    def _from(self, step: Step) -> None:
        words = step.rest.split()
        base = VARIABLE.sub(
            lambda found: self._global.get(found["braced"] or found["plain"], ""), words[0]
        )
        number = len(self._stages)
        stage = Stage(self._folder / str(number), [], dict(self._global))
        if base in self._stages:
            parent = self._stages[base]
            stage.below = [parent.own, *parent.below]
            stage.environment = dict(parent.environment)
            stage.settings = dict(parent.settings)
            stage.workdir, stage.user = parent.workdir, parent.user
        elif base.rpartition("/")[2].partition(":")[0] in BASES:
            stage.below = [root_tree()]
            stage.environment = {
                "PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
            }
        else:
            raise StepFailed(f"{self._file}: nothing here stands for the image {base}")
        stage.mount()
        self._stages[words[2] if len(words) == 3 else str(number)] = stage
        self._stage = stage

    def _argument(self, step: Step, values: dict[str, str]) -> None:
        name, _, default = step.rest.partition("=")
        values[name] = self._given.get(name, self._global.get(name, default.strip("\"'")))

    def _do(self, step: Step, stage: Stage) -> None:
        match step.word:
            case "RUN":
                self._run(step, stage)
            case "COPY":
                self._copy(step, stage)
            case "ARG":
                self._argument(step, stage.arguments)
            case "ENV":
                for pair in shlex.split(stage.expand(step.rest)):
                    name, _, value = pair.partition("=")
                    stage.environment[name] = value
            case "WORKDIR":
                place = stage.inside(stage.expand(step.rest))
                place.mkdir(parents=True, exist_ok=True)
                stage.workdir = f"/{place.relative_to(stage.tree)}"
            case "USER":
                stage.user = stage.expand(step.rest)
            case "ENTRYPOINT" | "CMD":
                stage.settings[step.word.capitalize()] = step.words()
            case "EXPOSE" | "LABEL" | "HEALTHCHECK" | "STOPSIGNAL" | "VOLUME":
                pass  # nothing that a pod is run by
            case _:
                raise StepFailed(f"{self._file}: the step {step.word} is not known here")

    def _run(self, step: Step, stage: Stage) -> None:
        progress(f"  {self._file.parent.name}: {step.rest[:70]}")
        script = STEP
        for name, value in step.options:
            script += self._cache_mount(value) if name == "mount" else ""
        user = stage.user if ":" in stage.user or not stage.user.isdigit() else f"{stage.user}:0"
        inside = ["chroot", f"--userspec={user}", str(stage.tree), "/usr/bin/env", "-i"]
        variables = {**stage.arguments, **stage.environment, **_of_pip()}
        inside += [f"{name}={value}" for name, value in variables.items()]
        inside += ["/bin/sh", "-c", f"cd {shlex.quote(stage.workdir)} && {step.rest}"]
        command = ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh", str(stage.tree)]
        done = subprocess.run(
            [*command, *inside], capture_output=True, text=True, timeout=STEP_TIMEOUT, check=False
        )
        if done.returncode:
            raise StepFailed(
                f"{self._file}: RUN {step.rest}\n{(done.stdout + done.stderr)[-3000:]}"
            )

    def _cache_mount(self, text: str) -> str:
        options = dict(pair.partition("=")[::2] for pair in text.split(","))
        if options.get("type") != "cache":
            raise StepFailed(f"{self._file}: the mount {text} is not known here")
        target = options.get("target") or options["dst"]
        place = CACHE / "e2e" / "mounts" / target.strip("/").replace("/", "_")
        place.mkdir(parents=True, exist_ok=True)
        inside = f'"$root{target}"'
        return f"mkdir -p {inside}; mount --bind {shlex.quote(str(place))} {inside}\n"

    def _copy(self, step: Step, stage: Stage) -> None:
        *sources, target = (stage.expand(word) for word in step.words())
        origin = step.option("from")
        place = stage.inside(target)
        if target.endswith("/") or len(sources) > 1:
            place.mkdir(parents=True, exist_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        for source in sources:
            for found in self._sources(source, origin):
                onto = place / found.name if place.is_dir() and not found.is_dir() else place
                _copy_tree(found, onto, self._wanted(found) if origin is None else None)
        if owner := step.option("chown"):
            run(
                "chroot", str(stage.tree), "chown", "-R", owner, f"/{place.relative_to(stage.tree)}"
            )
        if mode := step.option("chmod"):
            run("chmod", "-R", mode, str(place))

    def _sources(self, pattern: str, origin: str | None) -> list[Path]:
        if origin is None:
            root = self._context
        elif origin in self._stages:
            root = self._stages[origin].tree
        else:
            raise StepFailed(f"{self._file}: there is no stage {origin}")
        clean = os.path.normpath(pattern).lstrip("/")
        found = [root] if clean == "." else sorted(root.glob(clean))
        if not found:
            raise StepFailed(f"{self._file}: COPY finds no {pattern}")
        return found

    def _wanted(self, folder: Path) -> list[Path] | None:
        """Return what of a folder of the context goes along: what git would keep."""
        if not folder.is_dir():
            return None
        command = ["git", "-C", str(folder), "ls-files", "-co", "--exclude-standard", "-z"]
        names = run(*command).split("\0")
        return [folder / name for name in names if name and (folder / name).exists()]


def _of_pip() -> dict[str, str]:
    """Return how this machine reaches the package index, for the length of a step."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return {**ours, "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt"}


def _copy_tree(source: Path, target: Path, only: list[Path] | None) -> None:
    if not source.is_dir():
        shutil.copy2(source, target, follow_symlinks=False)
    elif only is None:
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        for file in only:
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, place, follow_symlinks=False)


def _mark_deleted(tree: Path) -> None:
    """Turn the overlay's marks of deleted files into those of an image's layer."""
    for path in [*tree.rglob("*")]:
        about = path.lstat()
        if stat.S_ISCHR(about.st_mode) and about.st_rdev == 0:
            path.unlink()
            path.with_name(f".wh.{path.name}").touch()


def build(file: Path, context: Path, name: str, archive_file: Path) -> None:
    """Build a Dockerfile and write its last stage as an image of that name.

    Raises:
        StepFailed: a step failed.
        InstallFailed: the base could not be made.
    """
    progress(f"building the image {name} by the steps of {file.relative_to(context)}")
    with Build(file, context, {}) as work:
        work.run()
        work.write(name, archive_file)
