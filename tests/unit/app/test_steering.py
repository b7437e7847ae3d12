from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mcp_gateway.api import MCPGateway
from mcp_gateway.api.control import GENERATION_ANNOTATION, Ack, Config, Refused
from mcp_gateway.app.steering import Steering, written_generation
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.errors import ConfigError

Told = list[Ack | Refused]


def body(*names: str, key: str = "", **annotations: str) -> dict[str, Any]:
    providers: list[dict[str, Any]] = [
        {"name": name, "type": "simulator"} for name in names or ("kimi",)
    ]
    if key:
        secret = {"secretRef": {"name": "kimi", "key": key}}
        providers.append({"name": "keyed", "type": "kimi", "apiKey": secret})
    return {
        "apiVersion": "gateway.exai.dev/v1alpha1",
        "kind": "MCPGateway",
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {
            "server": {"host": "127.0.0.1"},
            "auth": {"anonymous": True},
            "providers": providers,
        },
    }


def document(*names: str, **more: Any) -> MCPGateway:
    return MCPGateway.model_validate(body(*names, **more), context={"document": True})


def config(generation: int, *names: str, epoch: int = 1, **more: Any) -> Config:
    taken_back = more.pop("takes_back", None)
    return Config(
        generation=generation, epoch=epoch, document=body(*names, **more), takes_back=taken_back
    )


class Gateway:
    """Applies documents, after a while where told, and not those whose secret is missing."""

    def __init__(self, secrets: SecretReader) -> None:
        self.applied: list[list[str]] = []
        self.keys: list[str] = []
        self.invalid = 0
        self.takes = 0.0
        self._secrets = secrets

    async def apply(self, document: MCPGateway) -> None:
        await asyncio.sleep(self.takes)
        for provider in document.spec.providers:
            if provider.api_key is not None:
                self.keys.append(self._secrets.read(provider.api_key))
        self.applied.append([provider.name for provider in document.spec.providers])

    def count_invalid(self) -> None:
        self.invalid += 1


class Rig:
    """A steering that runs, beside a gateway that obeys it."""

    def __init__(self, folder: Path, start: MCPGateway) -> None:
        secrets = SecretReader(folder, {})
        self.gateway = Gateway(secrets)
        self.told: Told = []
        self.steering = Steering(
            start,
            self.gateway.apply,
            self.gateway.count_invalid,
            secrets,
            follow_secrets=True,
        )
        self.steering.tell = self.told.append

    async def offer(self, config: Config, settle: float = 0.5) -> Refused | None:
        answer = self.steering.offer(config)
        await asyncio.sleep(settle)
        return answer


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path, document(**{GENERATION_ANNOTATION: "3"}))
    running = asyncio.get_running_loop().create_task(rig.steering.run(), name="steering")
    await asyncio.sleep(0)
    yield rig
    running.cancel()
    await asyncio.wait([running])


def why(answer: Ack | Refused | None) -> str:
    assert isinstance(answer, Refused)
    return str(answer)


async def test_a_newer_generation_is_brought_into_force_and_acknowledged(rig: Rig) -> None:
    assert rig.steering.generation == 3

    assert await rig.offer(config(4, "kimi", "glm")) is None

    assert rig.gateway.applied == [["kimi", "glm"]]
    assert rig.told == [Ack(generation=4)]
    assert rig.steering.generation == 4


async def test_an_older_generation_is_refused(rig: Rig) -> None:
    assert why(await rig.offer(config(2, "other"))) == "generation 2 is older than 3, which is here"
    assert rig.gateway.applied == []


async def test_the_generation_that_is_here_may_be_said_again(rig: Rig) -> None:
    await rig.offer(config(3, epoch=5))

    assert rig.told == [Ack(generation=3)]
    assert rig.gateway.applied == [], "the same spec needs no bringing into force"
    assert rig.steering.epoch == 5


async def test_a_leadership_that_has_ended_changes_nothing(rig: Rig) -> None:
    await rig.offer(config(4, epoch=7))

    assert why(await rig.offer(config(9, epoch=6))) == "leadership 6 has ended; 7 leads"
    assert rig.steering.generation == 4


async def test_a_refused_configuration_still_tells_who_leads(rig: Rig) -> None:
    await rig.offer(config(1, epoch=9))

    assert "9 leads" in why(await rig.offer(config(5, epoch=8)))


async def test_a_generation_is_taken_back_by_its_number_only(rig: Rig) -> None:
    await rig.offer(config(5, "candidate"))

    assert "older" in why(await rig.offer(config(4, takes_back=4)))
    assert await rig.offer(config(4, takes_back=5)) is None
    assert rig.steering.generation == 4
    assert rig.gateway.applied == [["candidate"], ["kimi"]]


async def test_a_generation_is_taken_back_while_it_is_brought_into_force(rig: Rig) -> None:
    rig.gateway.takes = 10.0
    await rig.offer(config(5, "candidate"))
    assert "older than 5" in why(await rig.offer(config(4, "kimi")))
    await rig.offer(config(4, "old", takes_back=5), settle=30.0)

    assert rig.gateway.applied == [["candidate"], ["old"]]
    assert rig.steering.generation == 4


async def test_of_many_that_wait_only_the_newest_is_taken_up(rig: Rig) -> None:
    rig.gateway.takes = 10.0
    await rig.offer(config(4, "four"))
    await rig.offer(config(5, "five"))
    await rig.offer(config(6, "six"), settle=30.0)

    assert rig.gateway.applied == [["four"], ["six"]]
    assert rig.told == [Ack(generation=4), Ack(generation=6)]


async def test_a_wrong_document_is_refused_with_every_problem(rig: Rig) -> None:
    wrong = body()
    wrong["spec"]["server"]["prot"] = 1
    wrong["spec"]["providers"] = []
    await rig.offer(Config(generation=4, epoch=1, document=wrong))

    (told,) = rig.told
    assert "spec.providers: " in why(told)
    assert "spec.server.prot: unknown field" in why(told)
    assert "line" not in why(told)
    assert rig.gateway.invalid == 1
    assert rig.steering.generation == 3
    # What was refused does not stand in the way of the next of the same number.
    assert await rig.offer(config(4, "glm")) is None
    assert rig.steering.generation == 4


async def test_a_document_whose_secret_is_missing_waits_for_it(rig: Rig, tmp_path: Path) -> None:
    await rig.offer(config(4, key="api-key"))
    assert "key api-key of Secret kimi" in why(rig.told[0])
    assert rig.steering.generation == 3

    (tmp_path / "kimi").mkdir()
    (tmp_path / "kimi" / "api-key").write_text("sk-1")
    await asyncio.sleep(5.0)

    assert rig.told[1:] == [Ack(generation=4)]
    assert rig.gateway.keys == ["sk-1"]


async def test_what_waits_for_a_secret_gives_way_to_another_document(
    rig: Rig, tmp_path: Path
) -> None:
    await rig.offer(config(4, key="api-key"))
    await rig.offer(config(5, "glm"))
    (tmp_path / "kimi").mkdir()
    (tmp_path / "kimi" / "api-key").write_text("sk-1")
    await asyncio.sleep(5.0)

    assert rig.steering.generation == 5
    assert rig.gateway.applied == [["glm"]]


async def test_a_rotated_secret_is_read_again(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "kimi").mkdir()
    file = tmp_path / "kimi" / "api-key"
    file.write_text("sk-1")
    await rig.offer(config(4, key="api-key"))
    file.write_text("sk-two")
    await asyncio.sleep(5.0)
    file.unlink()
    await asyncio.sleep(5.0)
    file.write_text("sk-three")
    await asyncio.sleep(5.0)

    assert rig.gateway.keys == ["sk-1", "sk-two", "sk-three"]
    assert rig.told == [Ack(generation=4)]


async def test_a_failure_without_a_name_is_not_taken_for_success(tmp_path: Path) -> None:
    rig = Rig(tmp_path, document())

    async def fail(_: MCPGateway) -> None:
        raise ConfigError("no room")

    rig.steering._apply = fail
    running = asyncio.get_running_loop().create_task(rig.steering.run(), name="steering")
    await rig.offer(config(1, "glm"))
    running.cancel()
    await asyncio.wait([running])

    assert [why(told) for told in rig.told] == ["no room"]
    assert rig.steering.generation == 0


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("", 0), ("-1", 0), ("1e3", 0), ("²", 0)])
def test_a_documents_own_number_is_read_with_care(text: str, number: int) -> None:
    assert written_generation(document(**{GENERATION_ANNOTATION: text})) == number
