"""Dockerfiles are read as the builders of container runtimes read them."""

from __future__ import annotations

from tests.e2e.dockerfile import Step, steps, substitute
from tests.support.process import ROOT


def test_lines_are_joined_and_comments_are_dropped() -> None:
    text = "# syntax=1\nFROM python:3 AS build\nRUN a \\\n  # why\n  && b\n\n"
    assert list(steps(text)) == [
        Step("FROM", [], "python:3 AS build"),
        Step("RUN", [], "a    && b"),
    ]


def test_options_are_parted_from_the_rest() -> None:
    [step] = steps("COPY --from=build --chown=1:1 /a /b /c/")
    assert step.option("from") == "build"
    assert step.option("chown") == "1:1"
    assert step.option("chmod") is None
    assert step.words() == ["/a", "/b", "/c/"]


def test_lists_may_be_json() -> None:
    [step] = steps('ENTRYPOINT ["mcp-gateway", "run it"]')
    assert step.words() == ["mcp-gateway", "run it"]


def test_variables_have_defaults() -> None:
    text = "$A ${A} ${B:-2} ${B} $B."
    assert substitute(text, {"A": "1"}) == "1 1 2  ."


def test_images_of_the_project_use_known_steps_only() -> None:
    known = {
        *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL"),
        *("RUN", "USER", "WORKDIR"),
    }
    for folder in ("gateway", "operator"):
        text = (ROOT / folder / "Dockerfile").read_text()
        assert {step.word for step in steps(text)} <= known
