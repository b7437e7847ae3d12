"""The Secrets that the operator makes: seldom read, never lost, what is missing named."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from tests.unit.mcp_gateway_operator.scripted_cluster import ScriptedCluster

from mcp_gateway_operator import pki, render
from mcp_gateway_operator.cluster import Conflict, NotFound
from mcp_gateway_operator.cluster.item import Metadata, Partial
from mcp_gateway_operator.reconcile.keyring import LOOK_AGAIN, Keyring, Keys
from mcp_gateway_operator.reconcile.store import Child, ChildId, Store
from mcp_gateway_operator.render.kind import SECRET

ABSENT = NotFound(404, "NotFound", "")
NOW = 1_800_000_000.0


def gateway(**spec: Any) -> render.Gateway:
    key = {"secretRef": {"name": "kimi", "key": "api-key"}}
    provider = {"name": "kimi", "type": "kimi", "apiKey": key}
    own = {"auth": {"apiKeys": {"secretRef": {"name": "clients", "key": "keys"}}}}
    return render.Gateway.read(
        {
            "apiVersion": "gateway.exai.dev/v1alpha1",
            "kind": "MCPGateway",
            "metadata": {"name": "llm", "namespace": "ai", "uid": "u"},
            "spec": {"providers": [provider], **own, **spec},
        }
    )


def secret(version: int, **data: str | bytes) -> dict[str, Any]:
    encoded = {
        key.replace("_", "-"): base64.b64encode(
            value if isinstance(value, bytes) else value.encode()
        ).decode()
        for key, value in data.items()
    }
    return {"metadata": {"resourceVersion": str(version)}, "data": encoded}


class Ring:
    """A keyring on an API server that says what a test wrote down, with an authority."""

    def __init__(self) -> None:
        self.cluster = ScriptedCluster()
        self.store = Store(lambda key: None)
        self.now = NOW
        self.keyring = Keyring(self.cluster, self.store, "system", lambda: self.now)

    async def prepared(self) -> Ring:
        self.cluster.answers = [ABSENT, {}]
        await self.keyring.prepare()
        self.cluster.sent.clear()
        return self

    async def keys(self, what: render.Gateway, *answers: Any) -> Keys:
        self.cluster.answers = list(answers)
        found = await self.keyring.keys(what, self.store.children(what.key))
        assert not self.cluster.answers
        return found

    def settle(self, keys: Keys) -> None:
        """Let everything be applied as it was rendered."""
        for number, rendered in enumerate(keys.rendered):
            metadata = {**rendered["metadata"], "resourceVersion": str(100 + number), "uid": "s"}
            item = Partial(metadata=_convert(metadata))
            self.store.settle(SECRET, item)

    def has(self, name: str, version: int) -> None:
        """Let a watch tell of somebody's Secret."""
        metadata = {"name": name, "namespace": "ai", "resourceVersion": str(version)}
        self.store.seen(SECRET, Partial(metadata=_convert(metadata)))


def _convert(metadata: dict[str, Any]) -> Metadata:
    return msgspec.json.decode(msgspec.json.encode(metadata), type=Metadata)


def names(keys: Keys) -> list[str]:
    return [each["metadata"]["name"] for each in keys.rendered]


@pytest.fixture
async def ring() -> Ring:
    return await Ring().prepared()


async def test_keys_are_compiled_and_read_again_only_when_a_secret_changed(ring: Ring) -> None:
    ring.has("kimi", 5)
    ring.has("clients", 6)
    both = (secret(6, keys="k"), secret(5, api_key="one"))
    keys = await ring.keys(gateway(), *both, ABSENT)
    assert names(keys) == ["llm-secrets", "llm-control"]
    assert keys.missing == []
    assert set(keys.rendered[0]["data"]) == {"kimi..api-key", "clients..keys"}
    ring.settle(keys)
    assert names(await ring.keys(gateway())) == []
    ring.has("kimi", 7)
    again = await ring.keys(gateway(), secret(6, keys="k"), secret(7, api_key="two"))
    assert names(again) == ["llm-secrets"]
    assert base64.b64decode(again.rendered[0]["data"]["kimi..api-key"]) == b"two"


async def test_what_is_missing_is_named_also_when_nothing_is_read(ring: Ring) -> None:
    ring.has("kimi", 5)
    keys = await ring.keys(gateway(), ABSENT, secret(5, other="x"), ABSENT)
    said = ["Secret clients does not exist", "Secret kimi has no key api-key"]
    assert keys.missing == said
    ring.settle(keys)
    assert (await ring.keys(gateway())).missing == said
    ring.has("clients", 9)
    found = await ring.keys(gateway(), secret(9, keys="k"), secret(5, other="x"))
    assert found.missing == said[1:]


async def test_a_first_client_has_a_key_and_it_is_made_once(ring: Ring) -> None:
    ring.has("kimi", 5)
    open_ = gateway(auth={})
    keys = await ring.keys(open_, secret(5, api_key="one"), ABSENT, ABSENT)
    assert names(keys) == ["llm-client", "llm-secrets", "llm-control"]
    assert keys.missing == []
    ring.settle(keys)
    again = await ring.keys(open_, secret(5, api_key="one"), secret(100, keys="k"))
    assert names(again) == ["llm-secrets"]
    assert ("Secret", "llm-client") in again.wanted


async def test_a_control_secret_is_kept_while_it_is_good(ring: Ring) -> None:
    ring.has("kimi", 5)
    ring.has("clients", 6)
    both = (secret(6, keys="k"), secret(5, api_key="one"))
    keys = await ring.keys(gateway(), *both, ABSENT)
    control = {k: base64.b64decode(v) for k, v in keys.rendered[1]["data"].items()}
    assert keys.credentials is not None
    assert keys.credentials.token.encode() == control[pki.TOKEN]
    assert keys.credentials.token not in repr(keys.credentials)
    ring.settle(keys)
    ring.now += LOOK_AGAIN
    held = {"metadata": {"resourceVersion": "1"}, "data": keys.rendered[1]["data"]}
    assert names(await ring.keys(gateway(), held)) == []
    ring.now += pki.SERVING_DAYS * 86_400.0
    renewed = await ring.keys(gateway(), held)
    assert names(renewed) == ["llm-control"]
    fresh = {k: base64.b64decode(v) for k, v in renewed.rendered[0]["data"].items()}
    assert fresh[pki.TOKEN] == control[pki.TOKEN]
    assert fresh[pki.CERTIFICATE] != control[pki.CERTIFICATE]


async def test_a_spoiled_control_secret_is_made_good(ring: Ring) -> None:
    ring.has("kimi", 5)
    ring.has("clients", 6)
    keys = await ring.keys(gateway(), secret(6, keys="k"), secret(5, api_key="1"), ABSENT)
    ring.settle(keys)
    children: dict[ChildId, Child] = dict(ring.store.children(gateway().key))
    children["Secret", "llm-control"].settled = b"otherwise"
    assert names(await ring.keys(gateway(), secret(1, token="x"))) == ["llm-control"]


async def test_the_authority_is_read_renewed_and_never_overwritten_unseen() -> None:
    first = Ring()
    first.cluster.answers = [ABSENT, Conflict(409, "AlreadyExists", "")]
    with pytest.raises(Conflict):
        await first.keyring.prepare()
    made = pki.authority(None, NOW)
    held = {
        "metadata": {"resourceVersion": "3"},
        "data": {k: base64.b64encode(v).decode() for k, v in made.data().items()},
    }
    first.cluster.answers = [held]
    await first.keyring.prepare()
    await first.keyring.prepare()
    assert [sent.verb for sent in first.cluster.sent] == ["get", "create", "get"]
    first.now += pki.AUTHORITY_DAYS * 86_400.0 * 0.9
    first.cluster.answers = [held, {}]
    await first.keyring.prepare()
    renewal = first.cluster.sent[-1]
    assert renewal.verb == "patch"
    assert renewal.body["metadata"] == {"resourceVersion": "3"}
