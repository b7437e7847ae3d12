"""A Prometheus of the tests' own, and promtool: the machine's, or those of the Debian package.

The package is unpacked into the tests' cache, so nobody has to be root. apt-get checks what it
downloads against the archive's signed list.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from tests.support.cached_install import InstallFailed, cached, install
from tests.support.port import free_port
from tests.support.process import Child, ChildFailed

PROGRAMS = ("prometheus", "promtool")
START_TIMEOUT = 120.0
REQUEST_TIMEOUT = 30.0


def binaries() -> Path:
    """The folder with `prometheus` and `promtool`.

    Raises:
        InstallFailed: the machine has none, and the Debian package could not be had.
    """
    found = [shutil.which(name) for name in PROGRAMS]
    if all(found):
        return Path(str(found[0])).parent
    missing = [name for name in ("apt-get", "dpkg") if shutil.which(name) is None]
    if missing:
        raise InstallFailed(
            f"prometheus and promtool are not on the PATH, and without {' and '.join(missing)} "
            "their Debian package cannot be had: install Prometheus 2.42 or later"
        )
    return cached("debian", "prometheus", _unpack) / "usr" / "bin"


def _unpack(folder: Path) -> None:
    what = "Debian's package prometheus"
    try:
        install(["apt-get", "download", "prometheus"], folder=folder, what=what)
    except InstallFailed:
        # A machine without lists of packages, or with old ones: fetch lists of our own.
        own = [
            "-o", f"Dir::State::lists={folder}/lists",
            "-o", f"Dir::Cache={folder}/cache",
        ]  # fmt: skip
        (folder / "lists" / "partial").mkdir(parents=True)
        (folder / "cache" / "archives" / "partial").mkdir(parents=True)
        install(["apt-get", *own, "update", "-qq"], folder=folder, what="Debian's list of packages")
        install(["apt-get", *own, "download", "prometheus"], folder=folder, what=what)
        shutil.rmtree(folder / "lists")
        shutil.rmtree(folder / "cache")
    (package,) = folder.glob("prometheus_*.deb")
    install(["dpkg", "-x", str(package), "."], folder=folder, what=what)
    package.unlink()


def promtool(*arguments: str, text: str = "", timeout: float = 120.0) -> str:
    """Run promtool and return what it prints on both streams.

    Raises:
        AssertionError: its exit status is not 0; the message has its words.
    """
    done = subprocess.run(
        [str(binaries() / "promtool"), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"promtool {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class Prometheus:
    """One server. A context manager: leaving it ends the process.

    Attributes:
        url: its address.
    """

    def __init__(
        self, folder: Path, targets: list[dict[str, Any]], rules: dict[str, Any] | None = None
    ) -> None:
        """Start it; it looks at its targets and evaluates its rules every second.

        Args:
            folder: an empty one, for its files.
            targets: `scrape_configs`.
            rules: a rules file.
        """
        pace = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        configuration: dict[str, Any] = {"global": pace, "scrape_configs": targets}
        if rules is not None:
            (folder / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
            configuration["rule_files"] = ["rules.yaml"]
        file = folder / "prometheus.yaml"
        file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        arguments = [
            f"--config.file={file}", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]  # fmt: skip
        self._child = Child([str(binaries() / "prometheus"), *arguments], name="prometheus")

    def __enter__(self) -> Self:
        deadline = time.monotonic() + START_TIMEOUT
        while not self._ready():
            if time.monotonic() > deadline or self._child.process.poll() is not None:
                said = self._child.output
                self._child.stop()
                raise ChildFailed(f"Prometheus does not answer\n{said}")
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.stop()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression is now: series with their labels and value.

        Raises:
            AssertionError: it is not PromQL.
        """
        data = self._get("/api/v1/query", query=expression)
        if data["resultType"] == "scalar":
            return [{"metric": {}, "value": data["result"]}]
        found: list[dict[str, Any]] = data["result"]
        return found

    def over(self, expression: str, seconds: float, step: float = 1.0) -> list[dict[str, Any]]:
        """What an expression was in the last seconds: series with their labels and values."""
        now = time.time()
        data = self._get(
            "/api/v1/query_range", query=expression, start=now - seconds, end=now, step=step
        )
        found: list[dict[str, Any]] = data["result"]
        return found

    def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        alerts = self._get("/api/v1/alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    def down(self) -> list[str]:
        """What is wrong with targets that could not be scraped, or were not yet."""
        targets = self._get("/api/v1/targets")["activeTargets"]
        return [
            f"{each['scrapeUrl']}: {each['lastError'] or each['health']}"
            for each in targets
            if each["health"] != "up"
        ]

    def _ready(self) -> bool:
        try:
            with self._open("/-/ready"):
                return True
        except OSError:
            return False

    def _open(self, path: str) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return opener.open(f"{self.url}{path}", timeout=REQUEST_TIMEOUT)

    def _get(self, path: str, **parameters: object) -> dict[str, Any]:
        query = urllib.parse.urlencode(parameters)
        try:
            with self._open(f"{path}?{query}") as answer:
                body = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        data: dict[str, Any] = body["data"]
        return data
