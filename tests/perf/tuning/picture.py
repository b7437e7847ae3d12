"""The curves of a run as SVG: the cap, the ceiling, the shares, what is in flight and waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.perf.tuning.play import Run, Sample
from tests.perf.tuning.table import churned

WIDTH, HEIGHT = 860, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 48, 36
Value = Callable[[Sample], float | None]

CURVES: Sequence[tuple[str, str, str, Value]] = (
    ("allowed by the provider", "#d62728", "5 3", lambda s: s.cap),
    ("ceiling", "#ff7f0e", "", lambda s: s.ceiling),
    ("sum of the shares", "#2ca02c", "", lambda s: s.granted),
    ("in flight", "#1f77b4", "", lambda s: s.in_flight),
    ("waiting", "#9467bd", "2 2", lambda s: s.waiting),
)
"""Name, colour, dashes, and where to find it in a sample."""


def draw(run: Run, scale: float) -> str:
    """The picture of a run, with minutes of the scenario below."""
    most = max((_largest(run.samples, value) for _, _, _, value in CURVES[:4]), default=1.0)
    high = max(10.0, 1.15 * most)
    title = f"{run.scenario}, {run.controller}{churned(run)}"
    goodput = f"{run.goodput:.1f} % of the best goodput, {run.refused_percent:.2f} % refused"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="16" font-size="13" font-weight="bold">{title}: {goodput}</text>',
        *_legend(),
        *_axes(run.seconds, scale, high),
    ]
    for _, colour, dashes, value in CURVES:
        points = [
            (_x(sample.at, run.seconds), _y(min(known, high), high))
            for sample in run.samples
            if (known := value(sample)) is not None
        ]
        if points:
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            parts.append(
                f'<polyline points="{line}" fill="none" stroke="{colour}" '
                f'stroke-width="1.4" stroke-dasharray="{dashes}"/>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def save(run: Run, scale: float, folder: Path) -> Path:
    """Write the picture of a run into a folder."""
    words = f"tuning-{run.scenario}-{run.controller}{churned(run)}".replace(",", "")
    file = folder / f"{words.replace(' ', '-').lower()}.svg"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(draw(run, scale), encoding="utf-8")
    return file


def _largest(samples: Sequence[Sample], value: Value) -> float:
    return max((known for each in samples if (known := value(each)) is not None), default=0.0)


def _x(at: float, seconds: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * at / seconds


def _y(value: float, high: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / high


def _legend() -> list[str]:
    parts, x = [], LEFT
    for name, colour, dashes, _ in CURVES:
        parts.append(
            f'<line x1="{x}" y1="31" x2="{x + 22}" y2="31" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dashes}"/><text x="{x + 27}" y="35">{name}</text>'
        )
        x += 44 + 7 * len(name)
    return parts


def _axes(seconds: float, scale: float, high: float) -> list[str]:
    parts = []
    step = next(each for each in (2, 5, 10, 20, 25, 50, 100, 200, 500) if high / each <= 9)
    for value in range(0, int(high) + 1, step):
        y = _y(value, high)
        parts.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#dddddd"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value}</text>'
        )
    minutes = seconds * scale / 60.0
    every = next(each for each in (1, 2, 5, 10) if minutes / each <= 16)
    for minute in range(0, int(minutes + 0.001) + 1, every):
        x = _x(minute * 60.0 / scale, seconds)
        y = HEIGHT - BOTTOM + 15
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{minute}</text>')
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">minutes of the scenario, '
        f"played {scale:g} times as fast</text>"
    )
    return parts
