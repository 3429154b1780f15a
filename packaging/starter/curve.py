"""Draw the loss of a training run, and scores of checkpoints, against tokens as SVG. Knows runs/*.jsonl only."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "fclocal" / "models" / "starter" / "curve.svg"
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 360, 56, 56, 24, 44
COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"]


def read(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def line(points: list[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{path}"/>'


def label(x: float, y: float, text: str, *, anchor: str = "middle", colour: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def draw(losses: list[dict[str, float]], scores: list[dict[str, float]]) -> str:
    """Loss on the left axis from 0 to 3, shares in percent on the right one; million tokens below."""
    most = max(entry["tokens"] for entry in losses) / 1e6

    def x(tokens: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * tokens / 1e6 / most

    def y(share: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
    ]
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>')
    for step in range(5):
        parts.append(f'<path d="M{LEFT} {y(step / 4):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(label(LEFT - 8, y(step / 4) + 4, f"{3 * step / 4:.2f}", anchor="end", colour=COLOURS[0]))
        parts.append(label(WIDTH - RIGHT + 8, y(step / 4) + 4, f"{25 * step}%", anchor="start"))
        parts.append(label(x(most * 1e6 * step / 4), HEIGHT - BOTTOM + 18, f"{most * step / 4:.1f}"))
    parts.append(label(WIDTH / 2, HEIGHT - 8, "million training tokens"))
    parts.append(line([(x(one["tokens"]), y(min(one["loss"], 3.0) / 3)) for one in losses], COLOURS[0]))
    parts.append(label(LEFT + 8, TOP + 4, "reply loss (left)", anchor="start", colour=COLOURS[0]))
    names = [name for name in (scores[-1] if scores else {}) if name != "tokens"]
    for index, name in enumerate(names, start=1):
        colour = COLOURS[index % len(COLOURS)]
        points = [(x(one["tokens"]), y(one[name] / 100)) for one in scores if name in one]
        parts.append(line(points, colour))
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2.5" fill="{colour}"/>' for px, py in points]
        parts.append(label(LEFT + 8, TOP + 4 + 16 * index, f"{name} (right)", anchor="start", colour=colour))
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, default=HERE / "runs" / "log.jsonl")
    parser.add_argument(
        "--scores", type=Path, default=HERE / "runs" / "scores.jsonl", help="lines of tokens and shares"
    )
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args()
    options.out.write_text(draw(read(options.log), read(options.scores)))


if __name__ == "__main__":
    main()
