"""Who may open a channel, and what happens when certificates and tokens are replaced."""

from __future__ import annotations

import asyncio
import ssl
import time

import httpx
import pytest
from tests.integration.control.pods import SERVER_NAME, Pods, body, operator
from tests.support.eventually import eventually

from mcp_gateway_operator import pki
from mcp_gateway_operator.facts import Credentials, Document

pytestmark = pytest.mark.integration

YEAR = 365 * 86_400.0


def problem_of(view_pods: object) -> str:
    (config,) = view_pods.values()  # type: ignore[attr-defined]
    return str(config.problem)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"token": "guessed"}, "the pod does not know our token"),
        ({"server_name": pki.server_name("default", "other")}, "Hostname mismatch"),
        ({"ca": pki.authority(None, time.time()).bundle}, "certificate"),
    ],
)
async def test_a_channel_needs_the_right_token_name_and_authority(
    change: dict[str, str], complaint: str, pods: Pods
) -> None:
    await pods.start(1, body(generation=1))
    right = pods.credentials
    wrong = Credentials(
        **{"token": right.token, "ca": right.ca, "server_name": right.server_name, **change}
    )
    async with operator(pods) as leader:
        leader.assign(pods.target(Document(2, body()), credentials=wrong))
        await eventually(lambda: complaint in problem_of(leader.view.pods))
        leader.assign(pods.target(Document(2, body()), credentials=right))
        await leader.until_all_run(2)


async def test_a_new_authority_and_a_new_token_cut_nobody_off(pods: Pods) -> None:
    before = pods.authority = pki.authority(None, time.time() - 0.8 * YEAR)
    pods.write_control()
    await pods.start(2, body(generation=1))
    async with operator(pods) as leader:
        leader.assign(pods.target(Document(1, body())))
        await leader.until_all_run(1)

        pods.authority = pki.authority(before.data(), time.time())
        assert pods.authority.former == before.certificate
        old = pods.credentials
        # The operator knows first; the kubelet has not written the files yet.
        leader.assign(
            pods.target(
                Document(2, body()),
                credentials=Credentials("new", pods.authority.bundle, SERVER_NAME),
            )
        )
        await leader.until_all_run(2)
        async with operator(pods) as other:
            # A leader that knows the new token alone waits for the files.
            fresh = Credentials("new", pods.authority.bundle, SERVER_NAME)
            other.assign(pods.target(Document(3, body()), epoch=2, credentials=fresh))
            await eventually(lambda: all("token" in p.problem for p in other.view.pods.values()))
            pods.write_control(token=b"new")
            await other.until_all_run(3)
            # What was opened by the old token was closed, and is open again by the new one.
            await leader.until_all_run(3)

        assert old.token != "new"
        served = await asyncio.to_thread(
            ssl.get_server_certificate, (next(iter(pods.running.values())).pod.ip, pods.port)
        )
        assert served.strip() == (pods.control / "tls.crt").read_text().strip()


async def test_strangers_get_nothing(pods: Pods) -> None:
    (pod,) = await pods.start(1, body(generation=1))
    url = f"https://{pod.pod.ip}:{pods.port}"
    context = ssl.create_default_context(cadata=pods.authority.bundle)
    context.check_hostname = False
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=60.0) as http:
        headers = {
            "upgrade": "websocket",
            "connection": "upgrade",
            "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
            "sec-websocket-version": "13",
        }
        assert (await http.get(f"{url}/control", headers=headers)).status_code == 401
        wrong = {**headers, "authorization": "Bearer guessed"}
        assert (await http.get(f"{url}/control", headers=wrong)).status_code == 401
        assert (await http.get(f"{url}/status", headers=headers)).status_code == 404


async def test_many_idle_connections_do_not_keep_the_operator_out(pods: Pods) -> None:
    (pod,) = await pods.start(1, body(generation=1))
    context = ssl.create_default_context(cadata=pods.authority.bundle)
    idle = await asyncio.gather(
        *(
            asyncio.open_connection(pod.pod.ip, pods.port, ssl=context, server_hostname=SERVER_NAME)
            for _ in range(60)
        ),
        return_exceptions=True,
    )
    for opened in idle:
        if not isinstance(opened, BaseException):
            opened[1].close()
    async with operator(pods) as leader:
        leader.assign(pods.target(Document(2, body())))
        await leader.until_all_run(2)
