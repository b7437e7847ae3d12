"""The operator's own port, without a cluster."""

from __future__ import annotations

import httpx
import pytest

from mcp_gateway_operator.metrics import Metrics
from mcp_gateway_operator.probes import Probes

pytestmark = pytest.mark.integration


async def test_it_lives_until_a_task_is_dead_and_is_ready_once_it_has_seen_the_cluster() -> None:
    dead: list[str] = []
    seen: list[bool] = []
    probes = Probes(
        Metrics(), dead=lambda: dead, ready=lambda: bool(seen), host="127.0.0.1", port=0
    )
    async with probes, httpx.AsyncClient(trust_env=False, timeout=60.0) as http:
        url = f"http://127.0.0.1:{probes.port}"
        assert (await http.get(f"{url}/livez")).status_code == 200
        assert (await http.get(f"{url}/readyz")).status_code == 503
        seen.append(True)
        assert (await http.get(f"{url}/readyz")).status_code == 200
        dead.append("watch 3 Pod")
        answer = await http.get(f"{url}/livez")
        assert answer.status_code == 500
        assert "watch 3 Pod" in answer.text
        metrics = (await http.get(f"{url}/metrics")).text
        for name in ("reconcile_seconds", "queue_depth", "api_requests_total", "push_seconds"):
            assert f"mcp_gateway_operator_{name}" in metrics
