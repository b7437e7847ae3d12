"""RE2 patterns as predicates: linear time on whatever a client sends."""

from __future__ import annotations

from collections.abc import Callable

import re2

Fullmatch = Callable[[str], object]


def compile_pattern(pattern: str) -> Fullmatch:
    """A predicate that is true where RE2 `pattern` matches the whole value.

    Raises:
        ValueError: it is not an RE2 expression. Those of documents were checked before.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        fullmatch: Fullmatch = re2.compile(pattern, options).fullmatch
    except re2.error as exc:
        raise ValueError(f"expected an RE2 expression: {exc}") from exc
    return fullmatch
