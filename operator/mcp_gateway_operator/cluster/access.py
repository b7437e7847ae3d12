"""Where the API server is and what opens it: a pod's service account, or a kubeconfig.

A kubeconfig that asks a program for its credentials is read by the official client, which is
imported for that alone: it costs more memory than the rest of the operator.
"""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_AGE: Final = 60.0


class NoAccess(Exception):
    """There is no way to an API server; the message says what was looked for."""


@dataclass(slots=True)
class Access:
    """A way to an API server.

    Attributes:
        server: its address.
        tls: how its certificate is verified, with ours in it where there is one.
        namespace: where we are.
        token_file: a file that the token is read from again every minute.
        ca: certificates that its own chains to, in PEM; empty: the system's.
        certificate: our certificate, in PEM.
        key: its key, in PEM.
    """

    server: str
    tls: ssl.SSLContext
    namespace: str = "default"
    token_file: Path | None = None
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    insecure: bool = False
    _token: str = field(default="", repr=False)
    _read_at: float = field(default=-_TOKEN_AGE, repr=False)

    def token(self) -> str:
        """The bearer token; empty where a certificate does its work."""
        if self.token_file is not None and time.monotonic() - self._read_at >= _TOKEN_AGE:
            self._token = self.token_file.read_text(encoding="utf-8").strip()
            self._read_at = time.monotonic()
        return self._token


def find_access(kubeconfig: str, environ: Mapping[str, str], context: str = "") -> Access:
    """Find the way in: the kubeconfig that is named, else the service account of this pod.

    Args:
        kubeconfig: path; empty for none.
        environ: environment variables.
        context: the kubeconfig's context; empty for its current one.

    Raises:
        NoAccess: neither is there, or it cannot be read.
    """
    if kubeconfig:
        return from_kubeconfig(Path(kubeconfig).expanduser(), context)
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    if host and (SERVICE_ACCOUNT / "token").exists():
        return _from_service_account(host, environ.get("KUBERNETES_SERVICE_PORT", "443"))
    raise NoAccess(
        "no API server: expected to run in a pod with a service account, or --kubeconfig FILE"
        " or KUBECONFIG"
    )


def from_kubeconfig(path: Path, context: str = "") -> Access:
    """Read a kubeconfig.

    Raises:
        NoAccess: it cannot be read, or names something that is not in it.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        chosen = _named(config, "contexts", context or config["current-context"])["context"]
        cluster = _named(config, "clusters", chosen["cluster"])["cluster"]
        user = _named(config, "users", chosen["user"]).get("user") or {}
        namespace = chosen.get("namespace", "default")
        if "exec" in user or "auth-provider" in user:
            return _by_official_client(path, context, namespace)
        access = Access(
            server=cluster["server"].rstrip("/"),
            tls=ssl.create_default_context(),
            namespace=namespace,
            token_file=_file(path, user.get("tokenFile")),
            ca=_content(path, cluster, "certificate-authority"),
            certificate=_content(path, user, "client-certificate"),
            key=_content(path, user, "client-key"),
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            _token=user.get("token", ""),
        )
        return _with_tls(access)
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as exc:
        raise NoAccess(f"kubeconfig {path}: {exc}") from exc


def _from_service_account(host: str, port: str) -> Access:
    name = f"[{host}]" if ":" in host else host
    try:
        access = Access(
            server=f"https://{name}:{port}",
            tls=ssl.create_default_context(),
            namespace=(SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip(),
            token_file=SERVICE_ACCOUNT / "token",
            ca=(SERVICE_ACCOUNT / "ca.crt").read_text(encoding="utf-8"),
        )
        return _with_tls(access)
    except (OSError, ValueError) as exc:
        raise NoAccess(f"service account: {exc}") from exc


def _with_tls(access: Access) -> Access:
    access.tls = ssl.create_default_context(cadata=access.ca or None)
    if access.insecure:
        access.tls.check_hostname = False
        access.tls.verify_mode = ssl.CERT_NONE
    if access.certificate:
        _load_certificate(access.tls, access.certificate, access.key)
    return access


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # The ssl module reads certificates from files only.
    import tempfile  # noqa: PLC0415

    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(certificate + "\n" + key)
        file.flush()
        context.load_cert_chain(file.name)


def _by_official_client(path: Path, context: str, namespace: str) -> Access:
    try:
        from kubernetes import config  # noqa: PLC0415
    except ImportError as exc:
        raise NoAccess(
            f"kubeconfig {path}: credentials of a program need the package kubernetes"
        ) from exc
    try:
        load: Any = config.new_client_from_config
        client = load(str(path), context or None)
    except config.ConfigException as exc:
        raise NoAccess(f"kubeconfig {path}: {exc}") from exc
    found: Any = client.configuration
    authorization = found.get_api_key_with_prefix("authorization") or ""
    access = Access(
        server=found.host.rstrip("/"),
        tls=ssl.create_default_context(),
        namespace=namespace,
        ca=_read(found.ssl_ca_cert),
        certificate=_read(found.cert_file),
        key=_read(found.key_file),
        insecure=not found.verify_ssl,
        _token=authorization.removeprefix("Bearer "),
    )
    return _with_tls(access)


def _named(config: Mapping[str, Any], part: str, name: str) -> Mapping[str, Any]:
    for item in config.get(part) or []:
        if item.get("name") == name:
            found: Mapping[str, Any] = item
            return found
    raise ValueError(f"{part} has nothing named {name!r}")


def _content(base: Path, part: Mapping[str, Any], name: str) -> str:
    if data := part.get(f"{name}-data"):
        return base64.b64decode(data).decode()
    file = _file(base, part.get(name))
    return "" if file is None else file.read_text(encoding="utf-8")


def _file(base: Path, name: str | None) -> Path | None:
    return None if not name else base.parent / Path(name).expanduser()


def _read(name: str | None) -> str:
    return "" if not name else Path(name).read_text(encoding="utf-8")
