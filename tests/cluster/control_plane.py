"""A Kubernetes control plane on loopback: no root, no containers, ready in seconds."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.cluster.program import Program
from tests.support.port import free_port

ADDRESS = "127.1.0.1"
SERVICE_RANGE = "10.96.0.0/16"
READY_TIMEOUT = 180.0
# Far more than production's: a test makes a thousand objects and waits for them.
GENEROUS = ("--kube-api-qps=1000", "--kube-api-burst=2000")


class ControlPlane:
    """etcd, the API server, the controller manager and the scheduler, one process each.

    Attributes:
        kubeconfig: for an administrator; written by `start`.
        etcd, api_server, controller_manager, scheduler: to be killed and restarted by tests.
    """

    def __init__(self, folder: Path, binaries: Path, *, address: str = ADDRESS) -> None:
        """Prepare one in `folder`, which must exist.

        Args:
            folder: for its data, certificates and logs.
            binaries: where its programs are.
            address: where the API server listens, and what it tells pods of itself.
        """
        self.kubeconfig = folder / "kubeconfig"
        self._folder = folder
        self._binaries = binaries
        self._address = address
        self._token = secrets.token_urlsafe(24)
        self._port = free_port()
        self._etcd_port = free_port()
        self.etcd = Program("etcd", self._etcd_arguments(), folder)
        self.api_server = Program("kube-apiserver", self._api_server_arguments(), folder)
        self.controller_manager = Program(
            "kube-controller-manager", self._controller_manager_arguments(), folder
        )
        self.scheduler = Program("kube-scheduler", self._scheduler_arguments(), folder)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def programs(self) -> tuple[Program, ...]:
        """Its programs, in the order to start them."""
        return self.etcd, self.api_server, self.controller_manager, self.scheduler

    @property
    def url(self) -> str:
        """Where the API server listens."""
        return f"https://{self._address}:{self._port}"

    @property
    def etcd_url(self) -> str:
        """Where etcd listens."""
        return f"http://127.0.0.1:{self._etcd_port}"

    def start(self) -> None:
        """Start everything and return when the API server is ready.

        Raises:
            ProgramFailed: something ended, or was not ready in time.
        """
        self._write_credentials()
        try:
            self.etcd.start()
            self.api_server.start()
            self.wait_ready()
            self._write_kubeconfig()
            self.controller_manager.start()
            self.scheduler.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything, the last started first. Idempotent."""
        for program in reversed(self.programs):
            program.stop()

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Return when the API server calls itself ready.

        Raises:
            ProgramFailed: it ended, or did not within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self._ready():
            for program in (self.etcd, self.api_server):
                program.check()
            if time.monotonic() > deadline:
                raise self.api_server.failure(f"was not ready within {timeout:.0f} s")
            time.sleep(0.05)

    def _ready(self) -> bool:
        certificate = self._folder / "apiserver.crt"
        if not certificate.exists():
            return False
        try:
            context = ssl.create_default_context(cafile=str(certificate))
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            )
            request = urllib.request.Request(f"{self.url}/readyz")  # noqa: S310
            request.add_header("Authorization", f"Bearer {self._token}")
            with opener.open(request, timeout=5.0) as answer:
                return bool(answer.status == 200)
        except (OSError, ssl.SSLError):  # not listening, not ready, or half a certificate
            return False

    def _write_credentials(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        (self._folder / "sa.key").write_bytes(key)
        tokens = f'{self._token},admin,admin,"system:masters"\n'
        (self._folder / "tokens.csv").write_text(tokens, encoding="utf-8")

    def _write_kubeconfig(self) -> None:
        certificate = (self._folder / "apiserver.crt").read_bytes()
        authority = base64.b64encode(certificate).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        name = "mcp-gateway-tests"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"token": self._token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
        self.kubeconfig.write_text(json.dumps(config, indent=1), encoding="utf-8")  # also YAML
        self.kubeconfig.chmod(0o600)

    def _etcd_arguments(self) -> list[str]:
        return [
            str(self._binaries / "etcd"),
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={self.etcd_url}",
            f"--advertise-client-urls={self.etcd_url}",
            "--listen-peer-urls=http://127.0.0.1:0",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

    def _api_server_arguments(self) -> list[str]:
        key = self._folder / "sa.key"
        return [
            str(self._binaries / "kube-apiserver"),
            f"--etcd-servers={self.etcd_url}",
            f"--bind-address={self._address}",
            f"--advertise-address={self._address}",
            f"--secure-port={self._port}",
            f"--cert-dir={self._folder}",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",  # names of nodes resolve nowhere
            "--enable-admission-plugins=NodeRestriction",
        ]

    def _controller_manager_arguments(self) -> list[str]:
        return [
            str(self._binaries / "kube-controller-manager"),
            f"--kubeconfig={self.kubeconfig}",
            f"--service-account-private-key-file={self._folder / 'sa.key'}",
            f"--root-ca-file={self._folder / 'apiserver.crt'}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--secure-port=0",
            *GENEROUS,
        ]

    def _scheduler_arguments(self) -> list[str]:
        return [
            str(self._binaries / "kube-scheduler"),
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
            *GENEROUS,
        ]
