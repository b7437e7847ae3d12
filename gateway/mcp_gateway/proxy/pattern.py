"""RE2 patterns as predicates: linear time on whatever a client sends."""

from __future__ import annotations

from collections.abc import Callable

import re2

Fullmatch = Callable[[str], object]


def compile_pattern(pattern: str) -> Fullmatch:
    """A predicate that is true where RE2 `pattern` matches the whole value.

    `pattern` was checked when its document was read.
    """
    options = re2.Options()
    options.log_errors = False
    fullmatch: Fullmatch = re2.compile(pattern, options).fullmatch
    return fullmatch
