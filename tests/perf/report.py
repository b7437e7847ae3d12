"""The result of a run: one tree of numbers, shown as tables, kept as JSON and Markdown.

What is kept names versions and the kind of machine, never which machine or where.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.perf.latency import Added
from tests.perf.measure import Samples, ratio
from tests.perf.memory import Idle, Soak

RESULTS = Path(__file__).parent / "results"

# The goals of the design, for the column beside the figures.
MOST_CPU = 100.0
MOST_TIMES_NGINX = 2.5
MOST_ADDED_P99 = 2.0
MOST_IDLE_MIB = 60.0
MOST_KIB_PER_WEBSOCKET = 10.0


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU microseconds per request, or per chunk, over the rounds.

    Attributes:
        name: the row.
        median, least, most: microseconds.
        times_nginx: median of the ratios round by round; None without the yardstick, and for
            the yardstick itself.
        rate: requests per second, median.
    """

    name: str
    median: float
    least: float
    most: float
    times_nginx: float | None
    rate: float


def costs(taken: dict[str, Samples], yardstick: str) -> list[Cost]:
    """Sum up a section of rounds; `yardstick` is the name of the row to divide by."""
    against = taken.get(yardstick)
    return [
        Cost(
            name=name,
            median=statistics.median(samples.cpu),
            least=min(samples.cpu),
            most=max(samples.cpu),
            times_nginx=ratio(samples, against) if against and name != yardstick else None,
            rate=statistics.median(samples.rate),
        )
        for name, samples in taken.items()
    ]


@dataclass(slots=True)
class Result:
    """All sections of a run; empty ones were not asked for."""

    about: dict[str, str]
    settings: dict[str, float]
    requests: list[Cost] = field(default_factory=list)
    chunks: list[Cost] = field(default_factory=list)
    latency: list[Added] = field(default_factory=list)
    idle: Idle | None = None
    soak: Soak | None = None


def _verdict(value: float, most: float) -> str:
    return "" if value <= most else f" (goal {most:g})"


def _cost_rows(rows: list[Cost]) -> list[list[str]]:
    return [
        [
            row.name,
            f"{row.median:.1f}{_verdict(row.median, MOST_CPU)}",
            f"{row.least:.1f} to {row.most:.1f}",
            "1" if row.times_nginx is None else _times(row.times_nginx),
            f"{row.rate:,.0f}",
        ]
        for row in rows
    ]


def _times(ratio_to_nginx: float) -> str:
    return f"{ratio_to_nginx:.2f}{_verdict(ratio_to_nginx, MOST_TIMES_NGINX)}"


def _latency_rows(rows: list[Added]) -> list[list[str]]:
    return [
        [
            row.name,
            f"{row.rate:,.0f}",
            f"{row.direct.p50:.2f} / {row.direct.p99:.2f}",
            f"{row.through.p50:.2f} / {row.through.p99:.2f}",
            f"{row.added.p50:.2f} / {row.added.p99:.2f}{_verdict(row.added.p99, MOST_ADDED_P99)}",
        ]
        for row in rows
    ]


def _memory_rows(result: Result) -> list[list[str]]:
    rows = []
    if result.idle is not None:
        mib = result.idle.alone / 1024
        each = result.idle.per_websocket
        rows.append(["idle", f"{mib:.1f} MiB{_verdict(mib, MOST_IDLE_MIB)}"])
        rows.append(
            [
                f"each of {result.idle.websockets:,} idle WebSockets",
                f"{each:.1f} KiB{_verdict(each, MOST_KIB_PER_WEBSOCKET)}",
            ]
        )
    if result.soak is not None:
        soak = result.soak
        what = f"drift over {soak.seconds:,.0f} s and {soak.requests:,} requests"
        rows.append([what, f"{soak.drift:+,} KiB of {soak.samples[-1][1] / 1024:.1f} MiB"])
        rows.append(["open descriptors before and after", f"{soak.files[0]} and {soak.files[1]}"])
    return rows


def sections(result: Result) -> list[tuple[str, list[str], list[list[str]]]]:
    """Return (title, heads of the columns, rows) of everything that was measured."""
    found = [
        (
            "CPU per request",
            ["face", "µs", "range", "nginx is 1", "requests/s"],
            _cost_rows(result.requests),
        ),
        (
            "CPU per chunk of a stream (32 streams, a chunk every 20 ms)",
            ["face", "µs", "range", "nginx is 1", "streams/s"],
            _cost_rows(result.chunks),
        ),
        (
            "Time at 70 % of saturation, p50 / p99 in milliseconds",
            ["face", "requests/s", "provider alone", "through", "added"],
            _latency_rows(result.latency),
        ),
        ("Memory, resident", ["what", "how much"], _memory_rows(result)),
    ]
    return [section for section in found if section[2]]


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay a table out for a terminal."""
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, ["-" * width for width in widths], *rows)
    ]


def as_text(result: Result) -> str:
    """Tables for a terminal."""
    lines: list[str] = []
    for title, heads, rows in sections(result):
        lines += [title, "", *aligned(heads, rows), ""]
    return "\n".join(lines)


def as_markdown(result: Result) -> str:
    """Tables for a reader of the repository."""
    about = ", ".join(f"{name} {value}" for name, value in result.about.items())
    settings = ", ".join(f"{value:g} {name}" for name, value in result.settings.items())
    lines = ["# Benchmark", "", f"{about}.", "", f"Settings: {settings}.", ""]
    for title, heads, rows in sections(result):
        lines += [f"## {title}", ""]
        for row in (heads, ["---"] * len(heads), *rows):
            lines.append(f"| {' | '.join(row)} |")
        lines.append("")
    return "\n".join(lines)


def as_json(result: Result) -> str:
    """The numbers themselves."""
    tree: dict[str, Any] = dataclasses.asdict(result)
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def save(result: Result, name: str) -> list[Path]:
    """Write `results/<name>.json` and `.md`, and return both."""
    RESULTS.mkdir(exist_ok=True)
    written = [RESULTS / f"{name}.json", RESULTS / f"{name}.md"]
    written[0].write_text(as_json(result), encoding="utf-8")
    written[1].write_text(as_markdown(result), encoding="utf-8")
    return written
