"""What the commands about models print: JSON values, tables, and this machine's memory."""

from __future__ import annotations

from collections.abc import Sequence

from fclocal.cli.rim import json_line, say, value_printed
from fclocal.escapes import visible
from fclocal.models.fit import Fit, Machine


def machine() -> Machine:
    """This machine's free memory and the GPUs that llama.cpp can use."""
    from fclocal.models.load_plan import here  # deferred: loads llama.cpp

    return here()


def emit(value: object) -> None:
    """Print one JSON value on stdout."""
    print(json_line(value), flush=True)
    value_printed()


def tell(sentences: Sequence[str]) -> None:
    """Sentences for stderr."""
    for sentence in sentences:
        say(sentence)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A plain table on stdout, columns as wide as their widest cell."""
    safe = [tuple(visible(cell).replace("\n", " ") for cell in row) for row in (head, *rows)]
    widths = [max(len(row[column]) for row in safe) for column in range(len(head))]
    for row in safe:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def fit_json(fit: Fit) -> dict[str, object]:
    """A plan for --json."""
    return {
        "fits": fit.fits,
        "context": fit.context,
        "kv_type": fit.kv_type,
        "weights": fit.weights,
        "kv": fit.kv,
        "compute": fit.compute,
        "repacked": fit.repack,
        "total": fit.total,
        "free": fit.memory,
        "gpu_layers": fit.gpu_layers,
        "layers": fit.layers,
        "largest_context": fit.largest_context,
        "exact": fit.exact,
    }
