"""What a run of the operator's benchmark found, as tables for people and numbers for machines."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.perf.report import RESULTS, aligned


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        name: what was measured.
        value: how much.
        unit: of what.
        most: the goal, where there is one.
        note: what the figure includes.
    """

    name: str
    value: float
    unit: str
    most: float | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        """The goal was not reached."""
        return self.most is not None and self.value > self.most

    def cells(self) -> list[str]:
        """The row of the table."""
        goal = "" if self.most is None else f"at most {self.most:g}"
        shown = f"{self.value:,.0f}" if self.value >= 1000 else f"{self.value:.3g}"
        return [self.name, f"{shown} {self.unit}", goal + (" MISSED" if self.missed else "")]


@dataclass(slots=True)
class Result:
    """A run. `sections` are rows by title."""

    about: dict[str, str]
    sections: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """Names of the goals that were not reached."""
        return [row.name for rows in self.sections.values() for row in rows if row.missed]


HEADS = ["what", "how much", "goal"]


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that `part` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(part * 1000) * len(ordered) // 1000) - 1))]


def as_text(result: Result) -> str:
    """Tables for a terminal."""
    lines: list[str] = []
    for title, rows in result.sections.items():
        lines += [title, "", *aligned(HEADS, [row.cells() for row in rows]), ""]
    return "\n".join(lines)


def as_markdown(result: Result) -> str:
    """Tables for a reader of the repository."""
    about = ", ".join(f"{name} {value}" for name, value in result.about.items())
    lines = ["# Benchmark of the operator", "", f"{about}.", ""]
    for title, rows in result.sections.items():
        lines += [f"## {title}", ""]
        for cells in (HEADS, ["---"] * len(HEADS), *(row.cells() for row in rows)):
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", *(f"- {row.name}: {row.note}" for row in rows if row.note), ""]
    return "\n".join(lines)


def save(result: Result, name: str) -> list[Path]:
    """Write `results/operator-<name>.json` and `.md`, and return both."""
    RESULTS.mkdir(exist_ok=True)
    written = [RESULTS / f"operator-{name}.json", RESULTS / f"operator-{name}.md"]
    tree = json.dumps(dataclasses.asdict(result), indent=2, ensure_ascii=False) + "\n"
    written[0].write_text(tree, encoding="utf-8")
    written[1].write_text(as_markdown(result), encoding="utf-8")
    return written
