from __future__ import annotations

from typing import get_args

from mcp_gateway.api import simulator as api
from mcp_gateway.simulator.settings import (
    Failure,
    FailureKind,
    Latency,
    Limits,
    LogNormal,
    Settings,
    compiled,
)


def test_a_document_is_compiled_field_by_field() -> None:
    document = api.SimulatorSettings.model_validate(
        {
            "wire": "glm",
            "concurrency": 5,
            "requestsPerMinute": 60,
            "tokensPerMinute": 1000,
            "tokensPerDay": 9000,
            "byModel": {"glm-5": {"concurrency": 2}},
            "models": ["glm-5"],
            "latency": {
                "firstToken": {"median": "300ms", "sigma": 0.1},
                "perToken": {"median": "10ms", "sigma": 0.2},
                "refusal": {"median": "100ms", "sigma": 0.4},
            },
            "answerTokens": {"median": 50, "sigma": 0.3, "max": 100},
            "failures": [{"kind": "overload", "ratio": 0.25}],
            "retryAfter": "80ms",
            "seed": 7,
        }
    )
    assert compiled(document, frozenset({"k"})) == Settings(
        wire="glm",
        limits=Limits(5, 60, 1000, 9000),
        by_model={"glm-5": Limits(concurrency=2)},
        models=("glm-5",),
        api_keys=frozenset({"k"}),
        latency=Latency(LogNormal(0.3, 0.1), LogNormal(0.01, 0.2), LogNormal(0.1, 0.4)),
        answer_tokens=LogNormal(50, 0.3),
        longest_answer=100,
        failures=(Failure(FailureKind.OVERLOAD, 0.25),),
        retry_after=0.08,
        seed=7,
    )


def test_every_failure_of_the_schema_can_be_made() -> None:
    assert {FailureKind(name) for name in get_args(api.FailureKind)} <= set(FailureKind)


def test_models_are_the_wires_own_unless_named() -> None:
    assert "kimi-k2-0905-preview" in Settings(wire="kimi").callable_models
    assert "glm-5" in Settings(wire="glm").callable_models
    assert Settings(models=("m",)).callable_models == ("m",)


def test_some_failures_answer_and_some_begin() -> None:
    assert FailureKind.OVERLOAD.refuses
    assert not FailureKind.STALL.refuses
