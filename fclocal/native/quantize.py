"""Quantize GGUF files with llama.cpp's own quantizer. Knows labels and files; not where models come from.

The work is done in a child process: llama.cpp's log is one per process, its C code cannot be interrupted from Python,
and memory that it takes goes back to the system with it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Final

from fclocal.errors import DiskError, ModelBroken, UsageError
from fclocal.native.ggml_types import FILE_TYPES
from fclocal.native.gguf import read_header

# Label -> llama.cpp's file type, the plain float types included.
LABELS: Final[Mapping[str, int]] = {label: number for number, label in FILE_TYPES.items()}
FLOATS: Final = ("F32", "F16", "BF16")

_TENSOR: Final = re.compile(r"\[\s*\d+/\s*\d+\]\s+(\S+)")
_NEW_SIZE: Final = re.compile(r"quant size\s*=\s*([\d.]+) MiB")
_FAULT: Final = re.compile(r"failed|error|missing|cannot|requires|unable|not supported", re.IGNORECASE)


def check_label(label: str) -> str:
    """`label` as llama.cpp spells it. Raises UsageError, with a near one, when there is no such quantization."""
    wanted = label.upper().replace("-", "_")
    wanted = {"FP16": "F16", "FP32": "F32", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "Q3_K": "Q3_K_M"}.get(wanted, wanted)
    if wanted in LABELS:
        return wanted
    near = get_close_matches(wanted, LABELS, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(f"There is no quantization {label!r}.{hint}", f"There are: {', '.join(LABELS)}.")


def quantized_size(source: Path, label: str) -> int:
    """Bytes that `source` would have under `label`, about; nothing is read but its header.

    Raises UsageError for a type that needs an importance matrix and ModelBroken for a file that cannot be quantized.
    """
    with _child({"source": str(source), "target": "", "label": label}) as output:
        lines = list(output)
    mebibytes = next((float(found[1]) for line in lines if (found := _NEW_SIZE.search(line))), 0.0)
    header = read_header(source)
    return int(mebibytes * (1 << 20)) + header.data_offset + 32 * len(header.tensors)


def quantize(source: Path, target: Path, label: str, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Write `source` to `target` in the quantization `label`, which must not be one of FLOATS.

    `progress(done, total)` counts bytes of the source. Raises like `quantized_size`, and DiskError. A target that is
    not whole is the caller's to remove.
    """
    sizes = {tensor.name: tensor.size for tensor in read_header(source).tensors}
    total, done, current = sum(sizes.values()), 0, 0
    with _child({"source": str(source), "target": str(target), "label": label}) as output:
        for line in output:
            found = _TENSOR.search(line)
            if found and progress:
                done, current = done + current, sizes.get(found[1], 0)
                progress(done, total)
    if progress:
        progress(total, total)


@contextmanager
def _child(words: dict[str, str]) -> Iterator[Iterator[str]]:
    """The log lines of a quantizer that runs beside us; it ends when the block is left early."""
    command = [sys.executable, "-m", "fclocal.native.quantize", json.dumps(words)]
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    faults: list[str] = []
    output = child.stdout
    assert output is not None
    finished = False
    try:
        yield _lines(output, faults)
        finished = child.wait() == 0
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        output.close()
    if not finished:
        raise _failure(words, faults, child.returncode)


def _lines(output: IO[str], faults: list[str]) -> Iterator[str]:
    """Each line of the log; those that tell of a fault are kept."""
    for line in output:
        if _FAULT.search(line):
            faults.append(line.strip())
        yield line


def _failure(words: dict[str, str], faults: list[str], code: int) -> UsageError | DiskError | ModelBroken:
    label, name = words["label"], Path(words["source"]).name
    said = " ".join(faults).lower()
    if "importance matrix" in said:
        return UsageError(f"{label} needs an importance matrix, which is not made here.", "Try --quant Q4_K_M.")
    if "no space" in said or "file write" in said:
        return DiskError(f"Writing {Path(words['target']).name} failed: {faults[-1][:200]}.", "Is the disk full?")
    reason = re.sub(r"^\w+:\s*", "", faults[-1])[:200] if faults else f"its process ended with {code}"
    return ModelBroken(f"llama.cpp cannot quantize {name} to {label}: {reason.rstrip('.')}.", "Try another --quant.")


def _work(words: dict[str, str]) -> int:
    """What the child process does: quantize one file, or plan to when there is no target."""
    from fclocal.native.binding import api, send_log, start_backend  # deferred: only the child loads llama.cpp

    send_log(lambda text: print(text, end="", flush="[" in text))
    start_backend()
    params = api.llama_model_quantize_default_params()
    params.ftype = LABELS[words["label"]]
    params.dry_run = not words["target"]
    target = words["target"] or os.devnull
    return int(api.llama_model_quantize(os.fsencode(words["source"]), os.fsencode(target), params))


if __name__ == "__main__":
    code = _work(json.loads(sys.argv[1]))
    sys.stdout.flush()
    # Nothing is to be freed, and llama.cpp's own teardown is not needed.
    os._exit(code)
