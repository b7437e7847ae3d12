"""What every part of the document is made of: the base model, its rules, and the field types.

A model here is a border: strict (a number is not a string), closed (an unknown key is an
error) and frozen. Inside the gateway a duration is seconds as a float and a size is bytes as
an int; in YAML they are `500ms` and `4Mi`. What the schema of a Kubernetes API server can not
say about one field is said by a `Rule`, once, in Python and in CEL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Self

import re2
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

DOCUMENT: Final = "document"
"""Validation context of text that a person wrote: durations and sizes must be strings there."""

_ACRONYMS: Final = {"targetCpu": "targetCPU"}
_MAX_PATTERN: Final = 512


def yaml_name(python_name: str) -> str:
    """Spell a Python attribute as the YAML key it is written with."""
    camel = to_camel(python_name)
    return _ACRONYMS.get(camel, camel)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that joins fields of one model.

    Attributes:
        fields: the attributes it reads, dotted where nested; a problem is shown at the first.
        check: true for a model that obeys.
        cel: the same rule for an API server, over the YAML names; empty where the structure
            of the schema says it there.
        message: what is wanted, as a sentence that a person can act on.
    """

    fields: tuple[str, ...]
    check: Callable[[Any], bool]
    cel: str
    message: str


@dataclass(frozen=True, slots=True)
class Transition:
    """A change that is unsafe, which only an API server sees: a file has no past.

    Attributes:
        field: the attribute that must not change so, dotted where nested.
        cel: true for a change that is safe; `oldSelf` is what was. An API server judges a
            model's default by it too, before other defaults are in it: hence `has`.
        message: what is in danger, and the safe way.
    """

    field: str
    cel: str
    message: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that a model does not obey.

    Attributes:
        rule: the rule.
        reads: where the fields are that it reads, in the document's spelling, from the model.
    """

    rule: Rule
    reads: tuple[tuple[str, ...], ...]


class Model(BaseModel):
    """Base of every part of the document. See the module's docstring."""

    model_config = ConfigDict(
        alias_generator=yaml_name,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    transitions: ClassVar[tuple[Transition, ...]] = ()

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        rules = [rule for rule in self.rules if not rule.check(self)]
        if rules:
            text = "; ".join(rule.message for rule in rules)
            raise PydanticCustomError("rule", "{text}", {"text": text})
        return self

    @classmethod
    def cel_rules(cls) -> list[dict[str, str]]:
        """The rules as `x-kubernetes-validations`; those that an API server can judge."""
        found = [(rule.fields[0], rule.cel, rule.message) for rule in cls.rules if rule.cel]
        found += [(each.field, each.cel, each.message) for each in cls.transitions]
        return [
            {
                "rule": cel,
                "message": message,
                "fieldPath": "." + ".".join(cls.spelled(field)),
            }
            for field, cel, message in found
        ]

    @classmethod
    def spelled(cls, field: str) -> tuple[str, ...]:
        """Where a field is in the document, from this model: `auth.api_keys` is (auth, apiKeys)."""
        spelling = cls.model_config["alias_generator"]
        assert callable(spelling), "set by this class and by the models of the original form"
        return tuple(spelling(part) for part in field.split("."))


class Observed(Model):
    """Base of what the gateway or the cluster writes and a person only reads.

    Open where the rest is closed: a newer writer's fields must not fail an older reader.
    """

    model_config = ConfigDict(extra="ignore")


_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)", re.ASCII)
DURATION_PATTERN: Final = r"^([0-9]{1,9}(\.[0-9]{1,9})?(ms|s|m|h|d)){1,5}$"
_DURATION: Final = re.compile(DURATION_PATTERN, re.ASCII)


def parse_duration(text: str) -> float:
    """Read a duration such as `500ms`, `30s` or `1h30m` as seconds.

    Raises:
        ValueError: it is not one.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError("expected a duration such as 500ms, 30s or 1h30m")
    parts = _DURATION_PART.findall(text)
    return float(sum(round(float(n) * _UNITS[unit], 9) for n, unit in parts))


def format_duration(seconds: float) -> str:
    """Write seconds in the shortest form that `parse_duration` reads back."""
    milliseconds = round(seconds * 1000, 3)
    if milliseconds != int(milliseconds):
        return f"{milliseconds:g}ms"
    rest, text = int(milliseconds), ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"


def _from_document(info: ValidationInfo) -> bool:
    return info.context is not None and bool(info.context.get(DOCUMENT))


def _read_duration(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as exc:
            raise PydanticCustomError("duration", "{reason}", {"reason": str(exc)}) from None
    if _from_document(info) or isinstance(value, bool) or not isinstance(value, int | float):
        reason = "expected a duration with its unit, such as 500ms, 30s or 1h30m"
        raise PydanticCustomError("duration", "{reason}", {"reason": reason})
    return float(value)


def _not_zero(seconds: float) -> float:
    if seconds <= 0:
        raise PydanticCustomError("duration", "expected a duration longer than 0s")
    return seconds


_DURATION_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": DURATION_PATTERN,
    "maxLength": 64,
}

DurationOrZero = Annotated[
    float,
    BeforeValidator(_read_duration),
    Field(ge=0.0),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""Seconds as a float; `0s` is allowed."""

Duration = Annotated[
    float,
    BeforeValidator(_read_duration),
    AfterValidator(_not_zero),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        _DURATION_SCHEMA
        | {
            "x-kubernetes-validations": [
                {"rule": "self.matches('[1-9]')", "message": "must be longer than 0s"}
            ]
        }
    ),
]
"""Seconds as a float, longer than zero."""

_MULTIPLES: Final = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
SIZE_PATTERN: Final = r"^[0-9]{1,15}(\.[0-9]{1,3})?(k|M|G|T|Ki|Mi|Gi|Ti)?$"
_SIZE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,3})?)(k|M|G|T|Ki|Mi|Gi|Ti|)", re.ASCII)


def parse_size(text: str) -> int:
    """Read a size such as `4Mi`, `1Gi` or `500k` as bytes.

    Raises:
        ValueError: it is not one.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError("expected a size such as 64Ki, 4Mi or 1Gi")
    return int(float(match[1]) * _MULTIPLES[match[2]])


def format_size(size: int) -> str:
    """Write bytes with the largest binary unit that loses nothing."""
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if size and size % _MULTIPLES[unit] == 0:
            return f"{size // _MULTIPLES[unit]}{unit}"
    return str(size)


def _read_size(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        try:
            return parse_size(value)
        except ValueError as exc:
            raise PydanticCustomError("size", "{reason}", {"reason": str(exc)}) from None
    if _from_document(info) or isinstance(value, bool) or not isinstance(value, int):
        reason = "expected a size with its unit, such as 64Ki, 4Mi or 1Gi"
        raise PydanticCustomError("size", "{reason}", {"reason": reason})
    return value


def _some_bytes(size: int) -> int:
    if size <= 0:
        raise PydanticCustomError("size", "expected a size of more than 0 bytes")
    return size


Size = Annotated[
    int,
    BeforeValidator(_read_size),
    AfterValidator(_some_bytes),
    PlainSerializer(format_size, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": SIZE_PATTERN,
            "maxLength": 32,
            "x-kubernetes-validations": [
                {"rule": "self.matches('[1-9]')", "message": "must be more than 0 bytes"}
            ],
        }
    ),
]
"""Bytes as an int, more than zero."""


def check_re2(pattern: str) -> str:
    """Return the expression, if RE2 can read it.

    Raises:
        ValueError: it can not, with the reason.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as exc:
        detail = exc.args[0].decode() if isinstance(exc.args[0], bytes) else str(exc)
        raise PydanticCustomError(
            "re2", "not an RE2 expression: {detail}", {"detail": detail}
        ) from None
    return pattern


RE2 = Annotated[
    str,
    Field(min_length=1, max_length=_MAX_PATTERN),
    AfterValidator(check_re2),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": _MAX_PATTERN,
            "x-kubernetes-validations": [
                {
                    "rule": "type('x'.matches(self)) == bool",
                    "message": "must be an RE2 regular expression",
                }
            ],
        }
    ),
]
"""A regular expression in RE2's syntax. It must match a whole value, not a part of it."""

DNS_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_NAME: Final = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
HOST_NAME: Final = r"^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
HTTP_URL: Final = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
PROXY_URL: Final = r"^http://[^\s/?#@]+/?$"
DATA_KEY: Final = r"^[-_a-zA-Z0-9][-._a-zA-Z0-9]*$"
VARIABLE: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
LAYER: Final = r"^[A-Za-z][A-Za-z0-9_-]*$"
TABLE: Final = r"^[a-z_][a-z0-9_]*$"
URL_PATH: Final = r"^/[A-Za-z0-9._~/-]*$"
JSON_PATH: Final = r"^[A-Za-z_*][A-Za-z0-9_-]*(\[(\*|[0-9]+)\]|\.[A-Za-z_*][A-Za-z0-9_-]*)*$"
CAMEL_CASE: Final = r"^[A-Z][A-Za-z0-9]*$"

FORMS: Final[dict[str, str]] = {
    DNS_LABEL: "lower-case letters, digits and '-', with a letter or digit at both ends",
    DNS_NAME: "lower-case letters, digits, '-' and '.', with a letter or digit at both ends",
    HOST_NAME: "a host name such as mcp.example.com or *.example.com",
    HTTP_URL: "an address such as https://host/path, without user, query or fragment",
    PROXY_URL: "an address such as http://proxy.internal:3128, without user or path",
    DATA_KEY: "letters, digits, '-', '_' and '.'",
    VARIABLE: "a variable's name such as KIMI_API_KEY, not its value",
    LAYER: "a layer's name: letters, digits, '_' and '-'",
    TABLE: "a table's name: lower-case letters, digits and '_'",
    URL_PATH: "a path such as /mcp",
    JSON_PATH: "a path such as messages[*].content",
    CAMEL_CASE: "a word in CamelCase",
}
"""What a pattern asks for, in words, for people who did not meet it."""

Name = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        pattern=DNS_LABEL,
    ),
]
"""A name in the form of a DNS label: it becomes a metric label, a tool name and a file name."""

ModelName = Annotated[str, Field(min_length=1, max_length=253)]
"""A model's name in the provider's words."""

HttpUrl = Annotated[
    str,
    Field(
        max_length=2048,
        pattern=HTTP_URL,
    ),
]
"""An http or https address without user, query or fragment; a path is kept as a prefix."""

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""A whole number of at least one."""

Ratio = Annotated[float, Field(ge=0.0, le=1.0)]
"""A part of the whole, from 0 to 1."""


def list_by(key: str) -> dict[str, JsonValue]:
    """Say of a list, to an API server, that its entries are known by one of their fields.

    It then refuses two of one name, and several writers can own an entry each.
    """
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


def exactly_one(*values: object) -> bool:
    """Tell whether one and only one of the values is set."""
    return sum(value is not None for value in values) == 1
