"""Draws what a ceiling and the requests in flight did in the course of a scenario."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT, EDGE = 760, 240, 34


def draw(title: str, minutes: float, cap: Sequence[tuple[float, int]],
         curve: Sequence[tuple[float, int, int]]) -> str:  # fmt: skip
    """An SVG.

    Args:
        title: what it shows.
        minutes: how long it took.
        cap: by second, what the provider allowed.
        curve: by second, the ceiling and what was in flight.
    """
    most = max([level for _, level in cap] + [found for _, found, _ in curve]) * 1.1

    def place(at: float, level: float) -> str:
        x = EDGE + (WIDTH - 2 * EDGE) * at / (minutes * 60.0)
        y = HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * level / most
        return f"{x:.1f},{y:.1f}"

    lines = (
        ("#c2410c", "4 3", 1.5, cap, "allowed by the provider"),
        ("#94a3b8", "", 1.0, [(at, used) for at, _, used in curve], "in flight"),
        ("#1d4ed8", "", 1.5, [(at, found) for at, found, _ in curve], "ceiling"),
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{EDGE}" y="16" font-size="13">{title}</text>',
    ]
    for level in range(0, int(most) + 1, 50):
        x, y = place(0.0, level).split(",")
        parts.append(f'<text x="6" y="{float(y) + 4:.0f}">{level}</text>')
        parts.append(f'<line x1="{x}" x2="{WIDTH - EDGE}" y1="{y}" y2="{y}" stroke="#e2e8f0"/>')
    for minute in range(0, int(minutes) + 1, 5):
        x = place(minute * 60.0, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{HEIGHT - 16}" text-anchor="middle">{minute} min</text>')
    for number, (colour, dash, width, points, name) in enumerate(lines):
        path = " ".join(place(at, level) for at, level in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" '
            f'stroke-width="{width}" stroke-dasharray="{dash}"/>'
        )
        left = WIDTH - 330 + number * 120 - (30 if not number else 0)
        parts.append(f'<text x="{left}" y="16" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
