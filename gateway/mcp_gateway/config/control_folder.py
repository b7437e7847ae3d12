"""The files that a gateway's pods share: a certificate, its key, a token, and the authority.

The operator writes them into one Secret, and the kubelet into a folder. They change while a
process runs, each pod's at another moment within about a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_gateway.errors import ConfigError

MAX_TOKEN: Final = 4096
MAX_AUTHORITY: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class ControlFolder:
    """Where the files are.

    Attributes:
        folder: holds `tls.crt`, `tls.key`, `token` and `ca.crt`.
    """

    folder: Path

    @property
    def certificate(self) -> Path:
        """The certificate that the pod shows, the same for all pods of a gateway."""
        return self.folder / "tls.crt"

    @property
    def key(self) -> Path:
        """The certificate's key."""
        return self.folder / "tls.key"

    @property
    def token_file(self) -> Path:
        """The token that whoever calls a pod must show."""
        return self.folder / "token"

    @property
    def authority_file(self) -> Path:
        """The authorities that the certificate chains to."""
        return self.folder / "ca.crt"

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them, to be watched."""
        return (self.certificate, self.key, self.token_file, self.authority_file)

    def read_token(self) -> str:
        """Read the token.

        Raises:
            ConfigError: it cannot be read, or is empty.
        """
        return _read(self.token_file, "the control channel's token", MAX_TOKEN)

    def read_authority(self) -> str:
        """Read the authorities, in PEM.

        Raises:
            ConfigError: they cannot be read, or there are none.
        """
        return _read(self.authority_file, "the fleet's authority", MAX_AUTHORITY)


def _read(file: Path, what: str, limit: int) -> str:
    try:
        with file.open("rb") as opened:
            text = opened.read(limit).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{what} {file} cannot be read: {exc}") from exc
    if not text:
        raise ConfigError(f"{what} {file} is empty")
    return text
