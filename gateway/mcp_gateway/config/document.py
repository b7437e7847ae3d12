"""Reads a document, in either form, and finds everything that is wrong with it at once.

The text is read into plain data with a line for each part; the data is judged by the schema
of `api`; what only the whole shows is judged by `check`.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final, Literal

from pydantic import BaseModel, ValidationError

from mcp_gateway.api import API_VERSION, KIND, LimitsUpdate, MCPGateway, mcp_yaml
from mcp_gateway.api.fields import DOCUMENT
from mcp_gateway.api.gateway import REFERENCE_RULES
from mcp_gateway.config import check
from mcp_gateway.config.message import Finding, broken_rule, findings
from mcp_gateway.config.partial import Partial
from mcp_gateway.config.problem import InvalidDocument, Path, Problem, spell
from mcp_gateway.config.yaml_text import MAX_BYTES, Tree, Unreadable, read_yaml

__all__ = ["InvalidDocument", "Loaded", "Problem", "load", "parse", "parse_limits"]

Form = Literal["MCPGateway", "mcp.yaml"]
MIDDLEWARE_GROUP: Final = "mcp_gateway.middleware"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document that can be used.

    Attributes:
        document: what it says, or what the original form means.
        warnings: what is worth a second look.
        source: the file's name, or what stands for it.
        form: in which form it was written.
        lines: line of each part that the file sets, by its path in the document.
    """

    document: MCPGateway
    warnings: list[Problem] = field(default_factory=list)
    source: str = "document"
    form: Form = "MCPGateway"
    lines: Mapping[Path, int] = field(default_factory=dict)


def load(path: FilePath) -> Loaded:
    """Read a document from a file.

    Raises:
        InvalidDocument: the file cannot be read, or something in it is wrong.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        problem = Problem("", f"cannot be read: {reason}", "a file with an MCPGateway document")
        raise InvalidDocument(str(path), [problem]) from exc
    return parse(text, source=str(path))


def parse(
    text: str | bytes, *, source: str = "document", installed: Collection[str] | None = None
) -> Loaded:
    """Read a document from text: the MCPGateway form, or the original's mcp.yaml.

    Args:
        text: YAML or JSON, at most 1 MiB.
        source: what to call it in messages.
        installed: names of middleware beside the built-in; None asks the installed packages.

    Raises:
        InvalidDocument: with everything that is wrong.
    """
    tree = _read(text, source)
    if installed is None:
        installed = importlib.metadata.entry_points(group=MIDDLEWARE_GROUP).names
    if mcp_yaml.is_mcp_yaml(tree.data):
        return _original(tree, source, installed)
    return _gateway(tree, source, installed)


def parse_limits(text: str | bytes, *, source: str = "limits") -> LimitsUpdate:
    """Read the body of `PUT /limits`.

    Raises:
        InvalidDocument: with everything that is wrong.
    """
    tree = _read(text, source)
    judged = _judge(LimitsUpdate, tree.data)
    _refuse(tree, source, judged)
    return LimitsUpdate.model_validate(tree.data, **_STRICT)


_STRICT: Final[dict[str, Any]] = {
    "by_alias": True,
    "by_name": False,
    "context": {DOCUMENT: True},
}


def _read(text: str | bytes, source: str) -> Tree:
    try:
        tree = read_yaml(text)
    except Unreadable as exc:
        raise InvalidDocument(source, [exc.problem]) from None
    if not isinstance(tree.data, dict):
        problem = Problem("", "not a mapping", "apiVersion, kind, metadata and spec", 1)
        raise InvalidDocument(source, [problem])
    return tree


def _gateway(tree: Tree, source: str, installed: Collection[str]) -> Loaded:
    data = _without_nulls(tree.data)
    judged = [*_judge(MCPGateway, data), *check.references(data)]
    judged += check.layers(data.get("spec"), ("spec",), installed)
    judged = [*_headline(data), *judged]
    _refuse(tree, source, judged)
    document = MCPGateway.model_validate(data, **_STRICT)
    problems = _problems(tree, check.warnings(document), "warning")
    return Loaded(document, [*problems, *_ambiguous(tree)], source, "MCPGateway", tree.lines)


def _original(tree: Tree, source: str, installed: Collection[str]) -> Loaded:
    data = _without_nulls(tree.data)
    judged = [*_judge(mcp_yaml.MCPFile, data)]
    section = data["mcp"].get("routing") if isinstance(data.get("mcp"), dict) else None
    judged += check.layers(section, ("mcp", "routing"), installed)
    _refuse(tree, source, judged)
    translation = mcp_yaml.translate(data)
    lines = {new: tree.lines[old] for new, old in translation.sources.items() if old in tree.lines}
    found = list(check.warnings(translation.document))
    for finding in found:
        finding.loc = translation.sources.get(finding.loc, ("mcp",))
    problems = _problems(tree, found, "warning")
    return Loaded(translation.document, [*problems, *_ambiguous(tree)], source, "mcp.yaml", lines)


def _headline(data: dict[str, Any]) -> Iterator[Finding]:
    """Insist on apiVersion and kind in a file, which code that builds a document may leave out."""
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if key not in data:
            yield Finding((key,), "is missing", wanted)


def _without_nulls(data: Any) -> Any:
    """The data as if keys without a value were not there, as an API server takes it."""
    if isinstance(data, dict):
        return {key: _without_nulls(value) for key, value in data.items() if value is not None}
    if isinstance(data, list):
        return [_without_nulls(value) for value in data]
    return data


def _judge(model: type[BaseModel], data: Any) -> list[Finding]:
    """Everything the schema finds: wrong fields, and broken rules whose fields are right."""
    try:
        model.model_validate(data, **_STRICT)
    except ValidationError as exc:
        errors = [e for e in exc.errors(include_url=False) if e["type"] != "rule"]
        found = list(findings(model, errors))
        partial = Partial([finding.loc for finding in found])
        partial.build(model, data)
        found += [broken_rule(loc, broken) for loc, broken in partial.broken]
        return [finding for finding in found if finding.rule not in REFERENCE_RULES]
    return []


def _refuse(tree: Tree, source: str, judged: Iterable[Finding]) -> None:
    """Raise for everything that is wrong, in the file's order, each place once."""
    problems = list(tree.problems)
    taken = {problem.path for problem in problems}
    problems += [p for p in _problems(tree, judged, "error") if p.path not in taken]
    if problems:
        unique = list(dict.fromkeys(problems))
        raise InvalidDocument(source, sorted(unique, key=lambda p: (p.line or 0, p.path)))


def _problems(
    tree: Tree, judged: Iterable[Finding], severity: Literal["error", "warning"]
) -> list[Problem]:
    return [
        Problem(spell(f.loc), f.message, f.expected, _line(tree, f.loc), severity) for f in judged
    ]


def _line(tree: Tree, loc: Path) -> int | None:
    """The line of a place, or of the nearest part around it that the file has."""
    while loc not in tree.lines and loc:
        loc = loc[:-1]
    return tree.lines.get(loc)


def _ambiguous(tree: Tree) -> Iterator[Problem]:
    for path, word in tree.words.items():
        yield Problem(
            spell(path),
            f"a bare {word} is a boolean to YAML 1.1 readers such as kubectl",
            f'"{word}" in quotes',
            tree.lines.get(path),
            "warning",
        )
