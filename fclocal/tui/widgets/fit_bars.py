"""What a model would take of the memory of each side, as bars: weights, KV cache, compute."""

from __future__ import annotations

from rich.text import Text

from fclocal.models.fit import Fit, Machine, gb

WIDTH = 30
MARKS = (("#", "weights", "green"), ("=", "KV cache", "cyan"), ("+", "compute", "yellow"))


def fit_bars(fit: Fit, machine: Machine) -> Text:
    """One bar for the main memory and one for each GPU, the plan in words below."""
    text = Text()
    total = max(1, fit.total)
    parts = (fit.weights, fit.kv, fit.compute + fit.repack)
    _bar(text, "RAM", [part * fit.on_cpu // total for part in parts], fit.memory)
    room = sum(gpu.free for gpu in machine.gpus) or 1
    for gpu in machine.gpus:
        _bar(text, gpu.name[:20], [part * fit.on_gpu // total * gpu.free // room for part in parts], gpu.free)
    for mark, name, colour in MARKS:
        text.append(f"{mark} {name}  ", style=colour)
    return text.append(f"\n{fit.sentence}")


def _bar(text: Text, name: str, parts: list[int], free: int) -> None:
    whole = max(free, sum(parts), 1)
    text.append(f"{name:<8} [")
    used = 0
    for size, (mark, _, colour) in zip(parts, MARKS, strict=True):
        cells = min(WIDTH - used, max(1, round(size * WIDTH / whole)) if size else 0)
        text.append(mark * cells, style=colour)
        used += cells
    text.append(" " * (WIDTH - used) + f"] {gb(sum(parts))} of {gb(free)} free\n")
