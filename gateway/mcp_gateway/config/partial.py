"""Judges a document's rules although some of its fields are wrong.

pydantic judges a rule that joins fields only in a model whose fields are all right, and a
model's rules only when those of its parts hold. Told that way, mistakes come one layer at a
time. Here the parts that are right are put together as far as they go, and every rule whose
own fields are among them is judged.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter

from mcp_gateway.api.fields import DOCUMENT, Broken, Model
from mcp_gateway.config.message import core_type
from mcp_gateway.config.problem import Path

_WRONG: Final = object()
_CONFIG: Final = ConfigDict(strict=True, allow_inf_nan=False)


class Partial:
    """What can be made of data that is wrong in places.

    Args:
        wrong: the places that are wrong; a place that is missing counts.

    Attributes:
        broken: the rules that do not hold, each with the place of its model.
    """

    def __init__(self, wrong: Collection[Path]) -> None:
        self._wrong = frozenset(wrong)
        self.broken: list[tuple[Path, Broken]] = []

    def build(self, annotation: Any, data: Any, loc: Path = ()) -> Any:
        """Put together what is right at and below a place, judging rules on the way.

        Args:
            annotation: the type that the schema has there.
            data: what the document has there.
            loc: the place.
        """
        if loc in self._wrong:
            return _WRONG
        core = core_type(annotation)
        if isinstance(data, dict) and isinstance(core, type) and issubclass(core, Model):
            return self._model(core, data, loc)
        if isinstance(data, list) and get_origin(core) is list:
            (inner,) = get_args(core)
            entries = [self.build(inner, entry, (*loc, i)) for i, entry in enumerate(data)]
            return [entry for entry in entries if entry is not _WRONG]
        if isinstance(data, dict) and get_origin(core) is dict:
            _, inner = get_args(core)
            values = {key: self.build(inner, value, (*loc, key)) for key, value in data.items()}
            return {key: value for key, value in values.items() if value is not _WRONG}
        adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=_CONFIG)
        return adapter.validate_python(data, context={DOCUMENT: True})

    def _model(self, cls: type[Model], data: dict[str, Any], loc: Path) -> Model:
        values = {
            name: self.build(field.rebuild_annotation(), data[field.alias], (*loc, field.alias))
            for name, field in cls.model_fields.items()
            if field.alias is not None and field.alias in data
        }
        made = cls.model_construct(**{k: v for k, v in values.items() if v is not _WRONG})
        self._judge(made, loc)
        return made

    def _judge(self, made: Model, loc: Path) -> None:
        for rule in made.rules:
            reads = tuple(map(made.spelled, rule.fields))
            if self._right([(*loc, *read) for read in reads]) and not rule.check(made):
                self.broken.append((loc, Broken(rule, reads)))

    def _right(self, reads: list[Path]) -> bool:
        """Tell whether nothing is wrong at, above or below what a rule reads."""
        return not any(
            place[: len(read)] == read or read[: len(place)] == place
            for read in reads
            for place in self._wrong
        )
