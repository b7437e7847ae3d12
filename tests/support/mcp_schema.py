"""MCP's own JSON schemas, one per revision: what a message of a revision must look like."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

_SCHEMAS = Path(__file__).parent.parent / "conformance" / "schemas"


@lru_cache(maxsize=64)
def validator(revision: str, name: str) -> Validator:
    """Return the validator of one definition of a revision's schema."""
    schema: dict[str, Any] = json.loads((_SCHEMAS / revision / "schema.json").read_bytes())
    place = "$defs" if "$defs" in schema else "definitions"
    assert name in schema[place], f"{revision} defines no {name}"
    return validator_for(schema)({**schema, "$ref": f"#/{place}/{name}"})


def checked(revision: str, name: str, message: bytes | object) -> Any:
    """Return a message, decoded, once it is of the form that the revision's schema states.

    Raises:
        jsonschema.ValidationError: it is not.
    """
    value = json.loads(message) if isinstance(message, bytes) else message
    validator(revision, name).validate(value)
    return value
