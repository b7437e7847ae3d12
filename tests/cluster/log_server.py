"""The part of a kubelet's own port that `kubectl logs` needs, with `--follow` and `--tail`."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FOLLOW_PAUSE = 0.1
HEADER_TIMEOUT = 10.0


def _certificate(folder: Path) -> ssl.SSLContext:
    """Return a context with a certificate of its own making: API servers do not verify it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "process-node")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    file = folder / "kubelet.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


class LogServer:
    """Answers `GET /containerLogs/NAMESPACE/POD/CONTAINER` from the containers' log files."""

    def __init__(self, folder: Path, running: Callable[[str, str], bool]) -> None:
        """Read logs below `folder`; `running(namespace, pod)` says whether more can come."""
        self._folder = folder
        self._running = running
        self._server: asyncio.Server | None = None

    async def start(self, address: str) -> int:
        """Listen on a free port of an address, and return the port."""
        self._folder.mkdir(parents=True, exist_ok=True)
        context = _certificate(self._folder)
        self._server = await asyncio.start_server(self._answer, address, 0, ssl=context)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(HEADER_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
            url = urlsplit(head.split(b" ", 2)[1].decode())
            _, what, *place = url.path.split("/")
            if what == "containerLogs" and len(place) == 3:
                await self._send_log(writer, place, parse_qs(url.query))
            else:
                writer.write(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        writer.close()

    async def _send_log(
        self, writer: asyncio.StreamWriter, place: list[str], query: dict[str, list[str]]
    ) -> None:
        namespace, pod, container = place
        file = self._folder / f"{namespace}_{pod}" / f"{container}.log"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
        seen = 0
        if "tailLines" in query and file.exists():
            seen = _start_of_tail(file, int(query["tailLines"][0]))
        while not writer.is_closing():
            more = query.get("follow") == ["true"] and self._running(namespace, pod)
            new = _read_from(file, seen)
            seen += len(new)
            writer.write(new)
            await writer.drain()
            if not more:
                return
            await asyncio.sleep(FOLLOW_PAUSE)


def _read_from(file: Path, offset: int) -> bytes:
    with contextlib.suppress(FileNotFoundError), file.open("rb") as stream:
        stream.seek(offset)
        return stream.read()
    return b""


def _start_of_tail(file: Path, lines: int) -> int:
    """Return where the last so many lines of a file begin."""
    every = file.read_bytes().splitlines(keepends=True)
    return sum(len(line) for line in every[: max(0, len(every) - lines)])
