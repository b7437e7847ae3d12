from __future__ import annotations

import json
import shlex

import pytest

from mcp_gateway.api import SimulatorSettings
from mcp_gateway.cli import arguments, simulate
from mcp_gateway.errors import ConfigError


def settings(*options: str) -> SimulatorSettings:
    return simulate.settings(arguments.parser().parse(["simulate", *options]))


def test_without_options_the_schemas_defaults_hold() -> None:
    assert settings() == SimulatorSettings()


def test_every_option_finds_its_place() -> None:
    made = settings(
        *("--wire", "glm", "--concurrency", "5", "--rpm", "60", "--tpm", "1000", "--seed", "7"),
        *("--models", "glm-4.6,glm-5", "--failures", "overload=0.05, reset=0.01"),
        *("--first-token", "800ms", "--per-token", "0s", "--answer-tokens", "50"),
        *("--refusal", "100ms"),
    )

    assert (made.wire, made.seed, made.models) == ("glm", 7, ["glm-4.6", "glm-5"])
    assert (made.concurrency, made.requests_per_minute, made.tokens_per_minute) == (5, 60, 1000)
    assert [(failure.kind, failure.ratio) for failure in made.failures] == [
        ("overload", 0.05),
        ("reset", 0.01),
    ]
    assert made.latency.first_token.median == 0.8
    assert made.latency.per_token.median == 0.0
    assert made.latency.refusal.median == 0.1
    assert made.answer_tokens.median == 50


def test_a_tier_gives_its_limits_and_single_ones_win() -> None:
    made = settings("--tier", "kimi-tier0", "--concurrency", "9")

    assert (made.concurrency, made.requests_per_minute) == (9, 3)
    assert (made.tokens_per_minute, made.tokens_per_day) == (500_000, 1_500_000)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tier", "gold"], "--tier: there is no 'gold'; there are kimi-tier0"),
        (["--failures", "overload"], "--failures: expected KIND=RATIO"),
        (["--failures", "boredom=0.1"], "--failures: "),
        (["--failures", "overload=0.8,reset=0.8"], "--failures: the ratios"),
        (["--failures", "overload=2"], "--failures: "),
        (["--first-token", "5 parsecs"], "--first-token: expected a duration"),
        (["--concurrency", "0"], "--concurrency: "),
        (["--seed", "-1"], "--seed: "),
    ],
)
def test_what_has_no_meaning_is_told_by_its_option(options: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(*options)

    assert words in str(caught.value)


def test_the_line_to_try_is_one_that_a_shell_takes_as_it_is() -> None:
    words = shlex.split(simulate._curl("http://127.0.0.1:1/v1", "it's"))
    assert json.loads(words[-1])["model"] == "it's"
