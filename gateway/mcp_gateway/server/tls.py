"""The certificate of the main port, replaced while the port is open."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from mcp_gateway.errors import ConfigError

LOGGER = logging.getLogger(__name__)


class Certificate:
    """A certificate chain and its key in two PEM files, and the context that serves them.

    Connections that are open keep the certificate they began with; each new one gets what the
    files held at the last `reload`.

    Attributes:
        context: TLS 1.2 or newer, ALPN `http/1.1`.
        paths: the files to watch.
    """

    def __init__(self, cert_file: Path, key_file: Path) -> None:
        """Load the files.

        Raises:
            ConfigError: they cannot be read, or the key is not the certificate's.
        """
        self.paths = (cert_file, key_file)
        self.context = _context()
        try:
            self._load(self.context)
        except OSError as exc:
            raise ConfigError(f"the TLS certificate {cert_file} cannot be loaded: {exc}") from exc

    def reload(self) -> bool:
        """Serve what the files hold now; what is served stays where they are wrong.

        Certificate and key are two files, so a reader can see one new and one old; the second
        change brings another call. Returns whether the files were good.
        """
        try:
            # Tried on a context that nobody uses: half a failed load would stay in force.
            self._load(_context())
            self._load(self.context)
        except OSError as exc:
            LOGGER.error("certificate not reloaded", extra={"fields": {"error": str(exc)}})
            return False
        LOGGER.info("certificate reloaded", extra={"fields": {"file": str(self.paths[0])}})
        return True

    def _load(self, context: ssl.SSLContext) -> None:
        # A key with a passphrase would ask for it on the terminal; an empty answer fails instead.
        context.load_cert_chain(*self.paths, password=str)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
