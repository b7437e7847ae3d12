"""The operator's own port: `/livez`, `/readyz`, `/metrics`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from aiohttp import web

from mcp_gateway_operator.metrics import CONTENT_TYPE, Metrics


class Probes:
    """Answers the kubelet and Prometheus. Use it as an async context manager.

    Args:
        metrics: shown on `/metrics`.
        dead: names the tasks that have ended and should not have. Nothing else makes
            `/livez` fail: a restart does not bring an API server back.
        ready: the cluster was seen once, so this replica could lead.
        host: address to listen on.
        port: 0 lets the system choose.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        dead: Callable[[], list[str]],
        ready: Callable[[], bool],
        host: str,
        port: int,
    ) -> None:
        self._metrics = metrics
        self._dead = dead
        self._ready = ready
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._show)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._runner is not None, "used as an async context manager"
        port: int = self._runner.addresses[0][1]
        return port

    async def _livez(self, _: web.Request) -> web.Response:
        dead = self._dead()
        if dead:
            return web.Response(status=500, text=f"ended: {', '.join(dead)}\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        if not self._ready():
            return web.Response(status=503, text="the cluster was not seen yet\n")
        return web.Response(text="ok\n")

    async def _show(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})
