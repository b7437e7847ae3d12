"""Accounts of a process in a fleet, as documents configure them; nobody is called."""

from __future__ import annotations

from typing import Any

from mcp_gateway.api import Spec
from mcp_gateway.api.control import Grant
from mcp_gateway.api.quota import Quota
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.accounts import Accounts
from mcp_gateway.telemetry.metrics import Registry
from mcp_gateway.upstream.lane import Lane

NOW = 1_700_000_000.0


def kimi(key: str = "sk-1", **limits: Any) -> dict[str, Any]:
    return {
        "name": "kimi",
        "type": "kimi",
        "apiKey": {"value": key},
        "limits": limits or {"concurrency": 100},
    }


def glm(**limits: Any) -> dict[str, Any]:
    return {"name": "glm", "type": "glm", "apiKey": {"value": "id.secret"}, "limits": limits}


def spec(*providers: dict[str, Any], mode: str = "Auto", replicas: int = 4) -> Spec:
    return Spec.model_validate(
        {
            "replicas": replicas,
            "server": {"host": "127.0.0.1"},
            "auth": {"anonymous": True},
            "tuning": {"mode": mode},
            "providers": list(providers) or [kimi()],
        }
    )


class Process:
    """The accounts of one process."""

    def __init__(self, *providers: dict[str, Any], in_fleet: bool = True, **more: Any) -> None:
        self.accounts = Accounts(
            SecretReader(None, {}), Registry(), in_fleet=in_fleet, process="web-1"
        )
        self.governor = self.accounts.governor
        self.apply(*providers, **more)

    def apply(self, *providers: dict[str, Any], **more: Any) -> None:
        document = spec(*providers, **more)
        self.accounts.commit(document, self.accounts.plan(document))

    def grant(self, *quotas: Quota, **more: Any) -> None:
        former = self.governor.grant
        sequence = former.sequence + 1 if former else 1
        grant = Grant(epoch=1, sequence=sequence, quotas=list(quotas), **more)
        self.governor.take(grant, NOW)

    def __getitem__(self, provider: str) -> Account:
        return self.accounts.live[provider]

    def lane(self, provider: str, model: str = "") -> Lane:
        return self[provider].pool.lanes.find(model, lambda _: 0)

    def limit(self, provider: str, model: str = "") -> int:
        return self.lane(provider, model).limit.limit
