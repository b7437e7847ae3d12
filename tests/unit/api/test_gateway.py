from __future__ import annotations

from typing import Any

import pytest
import re2
from pydantic import ValidationError

from mcp_gateway.api import (
    Auth,
    Autoscaling,
    Backend,
    MCPGateway,
    Provider,
    Route,
    Server,
    SimulatorSettings,
    Spec,
)


def simulated(name: str, wire: Any = "kimi", **fields: Any) -> Provider:
    return Provider(name=name, type="simulator", simulator=SimulatorSettings(wire=wire), **fields)


def spec(*providers: Provider, **fields: Any) -> Spec:
    return Spec(providers=list(providers or [simulated("kimi")]), **fields)


def table(found: list[Route]) -> list[tuple[str, str | None, str | None, list[str]]]:
    return [
        (r.name, r.match.provider, r.match.model, [b.provider for b in r.backends]) for r in found
    ]


def test_code_may_leave_out_what_a_file_must_say() -> None:
    document = MCPGateway(spec=spec())

    assert (document.api_version, document.kind) == ("gateway.exai.dev/v1alpha1", "MCPGateway")
    assert document.metadata.name == "gateway"
    assert document.status is None
    assert MCPGateway.of(spec(), name="mine").metadata.name == "mine"


def test_everybody_is_served_only_on_this_machine() -> None:
    local = Server(host="127.0.0.1")

    assert spec(server=local, auth=Auth(anonymous=True)).loopback
    assert spec(server=local, middleware=[]).loopback
    with pytest.raises(ValidationError, match="anonymous needs a loopback"):
        spec(auth=Auth(anonymous=True))
    with pytest.raises(ValidationError, match="without the auth layer"):
        spec(middleware=["logging"])


def test_names_are_taken_once() -> None:
    with pytest.raises(ValidationError, match="each layer may be named once"):
        spec(middleware=["auth", "auth"])
    with pytest.raises(ValidationError, match="each provider needs a name of its own"):
        spec(simulated("a"), simulated("a"))
    route = Route(name="r", backends=[Backend(provider="kimi")])
    with pytest.raises(ValidationError, match="each route needs a name of its own"):
        spec(routes=[route, route])


def test_routes_lead_to_providers_of_the_document() -> None:
    with pytest.raises(ValidationError, match="every backend must name a provider"):
        spec(routes=[Route(name="r", backends=[Backend(provider="other")])])


def test_a_provider_is_found_by_name() -> None:
    assert spec().provider("kimi").name == "kimi"
    with pytest.raises(KeyError):
        spec().provider("glm")


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({}, 1),
        ({"replicas": 0}, 1),
        ({"replicas": 3}, 3),
        ({"replicas": 3, "autoscaling": Autoscaling(max_replicas=8)}, 8),
    ],
)
def test_the_most_pods_there_may_be(fields: dict[str, Any], most: int) -> None:
    assert spec(**fields).largest_replicas == most


def test_routes_that_are_written_are_taken_as_they_are() -> None:
    route = Route(name="r", backends=[Backend(provider="kimi")])

    assert spec(routes=[route]).effective_routes("least_connections") == [route]


def test_providers_imply_routes_by_name_and_by_family() -> None:
    found = spec(simulated("kimi"), simulated("glm", "glm")).effective_routes()

    assert table(found) == [
        ("kimi", "kimi", None, ["kimi"]),
        ("glm", "glm", None, ["glm"]),
        ("kimi-family", None, "(kimi|moonshot)-.*", ["kimi"]),
        ("glm-family", None, "glm-.*", ["glm"]),
    ]


def test_two_providers_of_a_family_share_it() -> None:
    found = spec(simulated("one"), simulated("two")).effective_routes("least_connections")

    assert table(found)[-1] == ("kimi-family", None, "(kimi|moonshot)-.*", ["one", "two"])
    assert {route.strategy for route in found} == {"least_connections"}


def test_a_single_provider_takes_the_rest() -> None:
    assert table(spec().effective_routes())[-1] == ("default", None, None, ["kimi"])


def test_listed_models_lead_to_their_provider() -> None:
    models = ["qwen3.5-32b", "a+b", "org/model:free", "qwen3.5-32b"]
    found = spec(simulated("kimi", models=models), simulated("glm", "glm")).effective_routes()

    (route,) = [r for r in found if r.name.startswith("kimi-models")]
    assert route.match.model is not None
    for model in models:
        assert re2.fullmatch(route.match.model, model)
    assert not re2.fullmatch(route.match.model, "qwen3x5-32b")


def test_many_models_make_several_routes() -> None:
    models = [f"model-{number:04d}-{'x' * 200}" for number in range(9)]
    found = spec(simulated("kimi", models=models), simulated("glm", "glm")).effective_routes()

    listed = [r for r in found if "-models-" in r.name]
    assert len(listed) > 1
    assert all(len(r.match.model or "") <= 512 for r in listed)
    for model in models:
        assert sum(bool(re2.fullmatch(r.match.model, model)) for r in listed) == 1
