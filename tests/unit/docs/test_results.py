"""Tables on the pages are what was measured."""

from __future__ import annotations

import re

from tests.perf.report import RESULTS
from tests.perf.tuning.table import as_markdown, as_summary, of_json
from tests.support.process import ROOT


def test_the_readme_shows_what_was_measured() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.search(r"tests/perf/results/(tuning-[\w.-]+)\.md", readme)
    assert named is not None
    result = of_json((RESULTS / f"{named[1]}.json").read_text(encoding="utf-8"))
    assert as_summary(result) in readme
    assert (RESULTS / f"{named[1]}.md").read_text(encoding="utf-8") == as_markdown(result)
