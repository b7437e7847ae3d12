"""Reads the secrets a document names: from files, from variables, or as they stand in it.

A Secret of a cluster and a folder on a laptop are the same thing here: `SECRETS_DIR/NAME/KEY`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mcp_gateway.api import MCPGateway, SecretReference, SecretSource
from mcp_gateway.config.check import secrets
from mcp_gateway.config.problem import Problem, spell
from mcp_gateway.errors import ConfigError

MAX_BYTES: Final = 2**20


class SecretReader:
    """Reads secrets, anew each time.

    Args:
        secrets_dir: folder of the secrets; None where there is none.
        environ: the environment's variables.
    """

    def __init__(self, secrets_dir: Path | None, environ: Mapping[str, str]) -> None:
        self._dir = secrets_dir
        self._environ = environ

    def read(self, source: SecretSource) -> str:
        """Read one secret, without the white space around it.

        Raises:
            ConfigError: there is none, with what to do about it. Never shows a secret.
        """
        if source.secret_ref is not None:
            return self._from_file(source.secret_ref)
        if source.env is not None:
            return self._from_variable(source.env)
        assert source.value is not None, "a SecretSource has exactly one of three"
        text = source.value.get_secret_value().strip()
        if not text:
            raise ConfigError("a secret's value is empty")
        return text

    def path(self, name: str, key: str) -> Path:
        """The file that holds one key of a Secret, for what must be read from a file.

        Raises:
            ConfigError: there is no folder of secrets.
        """
        if self._dir is None:
            raise ConfigError(
                f"key {key} of Secret {name}: there is no folder of secrets; start with"
                f" --secrets-dir DIR and put it into DIR/{name}/{key}"
            )
        return self._dir / name / key

    def files(self, document: MCPGateway) -> list[Path]:
        """The files that hold the document's secrets, to be watched, whether they exist or not."""
        if self._dir is None:
            return []
        found: list[Path] = []
        for _, source in secrets(document):
            if source.secret_ref is not None:
                found.append(self._dir / source.secret_ref.name / source.secret_ref.key)
            elif source.env is not None and source.env not in self._environ:
                found.append(self._dir / source.env)
        return list(dict.fromkeys(found))

    def problems(self, document: MCPGateway) -> list[Problem]:
        """Every secret that is needed to bring the document into force and cannot be read."""
        spec = document.spec
        idle = {"auth": "auth" not in spec.middleware, "recording": not spec.recording.enabled}
        found: list[Problem] = []
        for loc, source in secrets(document):
            if idle.get(str(loc[1]), False):
                continue
            try:
                self.read(source)
            except ConfigError as exc:
                found.append(Problem(spell(loc), str(exc)))
        return found

    def _from_file(self, reference: SecretReference) -> str:
        name, key = reference.name, reference.key
        what = f"key {key} of Secret {name}"
        path = self.path(name, key)
        text = _read(path, what)
        if text is None:
            raise ConfigError(f"{what}: expected it in the file {path}")
        return text

    def _from_variable(self, variable: str) -> str:
        """Read a variable; where it is not set, the file of its name."""
        text = self._environ.get(variable, "").strip()
        if not text and self._dir is not None:
            text = _read(self._dir / variable, f"variable {variable}") or ""
        if not text:
            raise ConfigError(
                f"variable {variable} is not set: export {variable}=... before the start, or put"
                f" the secret into the file {self._dir or 'DIR'}/{variable}"
                f"{'' if self._dir else ' and start with --secrets-dir DIR'}"
            )
        return text


def _read(path: Path, what: str) -> str | None:
    """The text of a file; None where there is no such file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ConfigError(f"{what}: {path} cannot be read: {exc.strerror}") from exc
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{what}: {path} is larger than {MAX_BYTES:,} bytes")
    try:
        text = data.decode().strip()
    except UnicodeDecodeError:
        raise ConfigError(f"{what}: {path} is not text in UTF-8") from None
    if not text:
        raise ConfigError(f"{what}: {path} is empty")
    return text
