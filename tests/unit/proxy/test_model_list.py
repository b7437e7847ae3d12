import asyncio
import json

import pytest
from tests.support.fake_upstream import FakeTransport, answer
from tests.support.scripted_provider import Script, Step, hangs

from mcp_gateway.proxy.model_list import FRESH, PATIENCE, RETRY, ModelList


def lists(*names: str) -> Step:
    body = json.dumps({"data": [{"id": name} for name in names]}).encode()

    def step(transport: FakeTransport) -> None:
        transport.feed(answer(body, extra=b"Content-Type: application/json\r\n"))

    return step


async def test_the_list_is_asked_for_once_in_a_while() -> None:
    kimi = Script("kimi", lists("a"), lists("a", "b"))
    models = ModelList(kimi.account)
    assert [await models.get() for _ in range(3)] == [("a",)] * 3
    await asyncio.sleep(FRESH + 1)
    assert await models.get() == ("a", "b")
    assert len(kimi.requests) == 2


async def test_a_provider_that_does_not_answer_is_not_waited_for_long() -> None:
    kimi = Script("kimi", lists("a"), hangs)
    models = ModelList(kimi.account)
    await models.get()
    await asyncio.sleep(FRESH + 1)
    started = asyncio.get_running_loop().time()
    assert await models.get() == ("a",)
    assert asyncio.get_running_loop().time() - started == pytest.approx(PATIENCE, abs=0.01)
    assert await models.get() == ("a",)
    assert len(kimi.requests) == 2
    await asyncio.sleep(RETRY + 1)
    await models.get()
    assert len(kimi.requests) == 3
    assert kimi.account.pool.in_flight == 0


async def test_who_leaves_in_the_middle_leaves_the_question_open() -> None:
    kimi = Script("kimi", hangs, lists("a"))
    models = ModelList(kimi.account)
    impatient = asyncio.create_task(models.get())
    await asyncio.sleep(1.0)
    impatient.cancel()
    await asyncio.wait([impatient])
    assert await models.get() == ("a",)
