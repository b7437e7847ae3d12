"""Tokens of an identity provider, verified by the keys it publishes on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from mcp_gateway.api import JWT
from mcp_gateway.errors import Unauthenticated
from mcp_gateway.proxy.layers.jwt import JWTVerifier

pytestmark = pytest.mark.integration

ISSUER = "https://login.example.com/"
AUDIENCE = "mcp-gateway"


class Issuer:
    """An identity provider: signs tokens and publishes its keys.

    Attributes:
        fetches: how often the keys were asked for.
        broken: what to answer in place of a key set; None for the set.
        asked: somebody asked for the keys.
        slow: an answer waits for it; None does not wait.
    """

    def __init__(self) -> None:
        self.fetches = 0
        self.broken: bytes | None = None
        self.asked = asyncio.Event()
        self.slow: asyncio.Event | None = None
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.url = ""
        self.add_key("one")

    def add_key(self, key_id: str) -> None:
        self.keys[key_id] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(self, key_id: str = "one", **claims: Any) -> str:
        now = int(time.time())
        payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": now + 300, **claims}
        payload = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(payload, self.keys[key_id], "RS256", headers={"kid": key_id})

    @contextlib.asynccontextmanager
    async def published(self) -> AsyncIterator[Issuer]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.fetches += 1
        self.asked.set()
        if self.slow is not None:
            await self.slow.wait()
        keys = [
            {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": key_id, "alg": "RS256"}
            for key_id, key in self.keys.items()
        ]
        body = json.dumps({"keys": keys}).encode() if self.broken is None else self.broken
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        writer.write(head + body)
        await writer.drain()
        writer.close()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer().published() as published:
        yield published


def verifier(issuer: Issuer, **settings: Any) -> JWTVerifier:
    return JWTVerifier(JWT(issuer=ISSUER, audience=AUDIENCE, jwks_uri=issuer.url, **settings))


async def test_a_token_of_the_issuer_tells_who_is_asking(issuer: Issuer) -> None:
    client = await verifier(issuer).verify(issuer.token())
    assert client.name == "ann"
    assert client.models is None


async def test_no_proxy_of_the_environment_comes_between_us_and_the_issuer(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    client = await verifier(issuer).verify(issuer.token())
    assert client.name == "ann"


async def test_keys_are_fetched_once_and_tokens_verified_once(issuer: Issuer) -> None:
    verifying = verifier(issuer)
    token = issuer.token()
    first = await verifying.verify(token)
    assert await verifying.verify(token) is first
    await verifying.verify(issuer.token(sub="bob"))
    assert issuer.fetches == 1


async def test_a_client_that_leaves_does_not_break_off_the_fetch_for_others(
    issuer: Issuer,
) -> None:
    issuer.slow = asyncio.Event()
    verifying = verifier(issuer)
    leaving = asyncio.create_task(verifying.verify(issuer.token()))
    await issuer.asked.wait()
    leaving.cancel()
    staying = asyncio.create_task(verifying.verify(issuer.token(sub="bob")))
    await asyncio.sleep(0)
    issuer.slow.set()
    assert (await staying).name == "bob"
    assert issuer.fetches == 1
    assert leaving.cancelled()


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": 1_000_000_000}, "expired"),
        ({"exp": None}, "exp"),
        ({"aud": "another-service"}, "[Aa]udience"),
        ({"iss": "https://evil.example.com/"}, "[Ii]ssuer"),
        ({"sub": None}, "no claim 'sub'"),
        ({"sub": "a\ud800"}, "in printable text"),
        ({"sub": "a\x1b[2J"}, "in printable text"),
        ({"nbf": 4_000_000_000}, "not yet valid"),
    ],
)
async def test_a_token_that_does_not_fit_is_refused(
    issuer: Issuer, claims: dict[str, Any], words: str
) -> None:
    with pytest.raises(Unauthenticated, match=words):
        await verifier(issuer).verify(issuer.token(**claims))


async def test_a_token_signed_by_another_is_refused(issuer: Issuer) -> None:
    forged = Issuer().token()
    with pytest.raises(Unauthenticated, match=r"[Ss]ignature"):
        await verifier(issuer).verify(forged)


async def test_a_token_without_a_signature_is_refused(issuer: Issuer) -> None:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": int(time.time()) + 300}
    unsigned = jwt.encode(claims, "", "none", headers={"kid": "one"})
    with pytest.raises(Unauthenticated):
        await verifier(issuer).verify(unsigned)


async def test_a_symmetric_signature_with_the_public_key_is_refused(issuer: Issuer) -> None:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": int(time.time()) + 300}
    confused = jwt.encode(claims, "x" * 32, "HS256", headers={"kid": "one"})
    with pytest.raises(Unauthenticated):
        await verifier(issuer).verify(confused)


async def test_unknown_key_ids_cannot_be_used_to_flood_the_issuer(issuer: Issuer) -> None:
    verifying = verifier(issuer)
    await verifying.verify(issuer.token())
    stranger = Issuer()
    stranger.add_key("unheard-of")
    for _ in range(20):
        with pytest.raises(Unauthenticated, match="does not publish"):
            await verifying.verify(stranger.token("unheard-of"))
    assert issuer.fetches == 1


@pytest.mark.parametrize("nonsense", [b"no keys today", b"[]", b"7", b'{"keys":7}', b" " * 300_000])
async def test_an_issuer_that_answers_nonsense_is_named(issuer: Issuer, nonsense: bytes) -> None:
    issuer.broken = nonsense
    with pytest.raises(Unauthenticated, match=r"keys cannot be had from http://127\.0\.0\.1"):
        await verifier(issuer).verify(issuer.token())


async def test_a_claim_can_limit_the_models(issuer: Issuer) -> None:
    verifying = verifier(issuer, models_claim="models")
    client = await verifying.verify(issuer.token(models="kimi-.*"))
    assert client.models is not None
    assert client.models("kimi-k2")
    assert not client.models("glm-5")


@pytest.mark.parametrize("models", [None, ["kimi-k2"], "(", "k" * 513])
async def test_a_missing_or_unreadable_claim_allows_nothing(issuer: Issuer, models: object) -> None:
    with pytest.raises(Unauthenticated, match="claim 'models'"):
        await verifier(issuer, models_claim="models").verify(issuer.token(models=models))


async def test_what_is_no_token_is_refused(issuer: Issuer) -> None:
    with pytest.raises(Unauthenticated, match="not a key, nor a token"):
        await verifier(issuer).verify("a.b.c")
