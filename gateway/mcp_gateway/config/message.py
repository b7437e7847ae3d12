"""From pydantic's errors to problems in a person's words."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from mcp_gateway.api.fields import FORMS, Broken, Rule
from mcp_gateway.config.problem import Path

_KINDS: Final = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_MAY_HOLD_A_SECRET: Final = frozenset({"value", "env", "key", "credentials"})
_LONGEST_SHOWN: Final = 60


@dataclass(slots=True)
class Finding:
    """One thing found, before its path and line are written out.

    Attributes:
        loc: where it is shown.
        message, expected: as in `Problem`.
        rule: the rule it is about, where it is one.
    """

    loc: Path
    message: str
    expected: str = ""
    rule: Rule | None = None


def findings(model: type[BaseModel], errors: Iterable[ErrorDetails]) -> Iterator[Finding]:
    """Put errors of fields into words."""
    for error in errors:
        loc = tuple(part for part in error["loc"] if part != "[key]")
        yield Finding(loc, *_words(model, loc, error))


def broken_rule(loc: Path, broken: Broken) -> Finding:
    """Put a broken rule into words: it is shown at the first field that it reads."""
    return Finding((*loc, *broken.reads[0]), broken.rule.message, rule=broken.rule)


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or nothing."""
    by_folded = {name.replace("_", "").lower(): name for name in known}
    near = difflib.get_close_matches(word.replace("_", "").lower(), by_folded, n=1, cutoff=0.6)
    return by_folded[near[0]] if near else ""


def unknown(what: str, word: str, known: Iterable[str]) -> tuple[str, str]:
    """Message and expectation for a word that is none of the known ones."""
    choices = list(dict.fromkeys(known))
    meant = closest(word, choices)
    guess = f"; did you mean {meant}?" if meant else ""
    return what + guess, f"one of {', '.join(choices)}" if choices else ""


def _words(model: type[BaseModel], loc: Path, error: ErrorDetails) -> tuple[str, str]:
    kind, given = error["type"], error["input"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if kind == "missing":
        return "is missing", describe(model, loc)
    if kind == "extra_forbidden":
        return unknown("unknown field", str(loc[-1]), known_keys(model, loc[:-1]))
    if kind in _KINDS:
        return f"got {_kind(given)}", describe(model, loc) or _KINDS[kind]
    return _form(kind, loc, error, context) or _bounds(kind, given, context) or (error["msg"], "")


def _form(
    kind: str, loc: Path, error: ErrorDetails, context: Mapping[str, Any]
) -> tuple[str, str] | None:
    shown = _shown(loc, error["input"])
    if kind == "literal_error":
        # pydantic writes the choices as "'a', 'b' or 'c'"; the schema's words hold no quotes.
        known = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return unknown(f"{shown} is not known", str(error["input"]), known)
    if kind == "string_pattern_mismatch":
        form = FORMS.get(context["pattern"], f"text that matches {context['pattern']}")
        return f"{shown} is not of the right form", form
    if kind in ("duration", "size"):
        return f"got {shown}", error["msg"].removeprefix("expected ")
    if kind == "re2":
        return f"{shown} is {error['msg']}", "RE2's syntax, without look-around or back-references"
    return None


def _bounds(kind: str, given: object, context: Mapping[str, Any]) -> tuple[str, str] | None:
    if kind == "greater_than_equal":
        return f"{given} is too small", f"at least {context['ge']:g}"
    if kind == "less_than_equal":
        return f"{given} is too large", f"at most {context['le']:g}"
    if kind in ("too_short", "string_too_short"):
        return "is too short", f"at least {_amount(kind, context['min_length'])}"
    if kind in ("too_long", "string_too_long"):
        return "is too long", f"at most {_amount(kind, context['max_length'])}"
    return None


def _amount(kind: str, count: int) -> str:
    noun = "character" if kind.startswith("string") else "entry"
    if count == 1:
        return f"one {noun}"
    return f"{count:,} {noun}s" if noun == "character" else f"{count:,} entries"


def _kind(given: object) -> str:
    """What was given, without showing text: where a mapping is wanted, text may be a secret."""
    if given is None or isinstance(given, bool | int | float):
        return json.dumps(given)
    if isinstance(given, str):
        return "text"
    return "a list" if isinstance(given, list) else "a mapping"


def _shown(loc: Path, given: object) -> str:
    if not isinstance(given, str):
        return _kind(given)
    if _MAY_HOLD_A_SECRET.intersection(loc) or "@" in given or len(given) > _LONGEST_SHOWN:
        return "the text given"
    return json.dumps(given, ensure_ascii=False)


def core_type(annotation: Any) -> Any:
    """An annotation without `Annotated` and `| None`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            annotation = next(a for a in get_args(annotation) if a is not types.NoneType)
        else:
            return annotation


def type_at(model: type[BaseModel], loc: Path) -> Any:
    """The type that the schema has at a place; None where it has nothing there."""
    found: Any = model
    for part in loc:
        if isinstance(found, type) and issubclass(found, BaseModel):
            fields = {field.alias: field for field in found.model_fields.values()}
            found = core_type(fields[str(part)].annotation) if part in fields else None
        elif get_origin(found) in (list, dict):
            found = core_type(get_args(found)[-1])
        else:
            return None
    return found


def known_keys(model: type[BaseModel], loc: Path) -> list[str]:
    """The keys that a mapping at this place may have."""
    found = type_at(model, loc)
    if isinstance(found, type) and issubclass(found, BaseModel):
        return [str(field.alias) for field in found.model_fields.values()]
    return []


def describe(model: type[BaseModel], loc: Path) -> str:
    """What belongs at a place, in a few words; empty where there is nothing to say."""
    found = type_at(model, loc)
    origin = get_origin(found)
    if origin is Literal:
        return "one of " + ", ".join(map(str, get_args(found)))
    if isinstance(found, type) and issubclass(found, BaseModel):
        return f"a mapping with {', '.join(known_keys(model, loc)[:8])}"
    plain = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return {list: "a list", dict: "a mapping"}.get(origin, plain.get(found, ""))
