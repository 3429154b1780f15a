"""How close the memory plan comes: `python -m benchmarks.memory_plan [MODEL.gguf]` (default: the 1.3B shape).

For each context length a process of its own loads the model, fills some of its cache and tells its peak memory; Linux
only.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.shape_model import shape_model
from fclocal.models.fit import gb, plan, sizes_of
from fclocal.models.machine import this_machine
from fclocal.models.shards import read_model
from fclocal.native.binding import Model
from fclocal.native.context import Batch, Context
from fclocal.native.hyperparameters import hyperparameters
from fclocal.native.probe import measure

CONTEXTS = (4096, 16_384)
PREFILL = 1024
ROW = "{:>8}  {:>10}  {:>10}  {:>8}  {:>12}  {:>12}"


def main(path: Path) -> None:
    """Print a table: planned bytes, measured peak, their ratio, and llama.cpp's own figure for the cache."""
    header = read_model(path)
    sizes = sizes_of(header, hyperparameters(header, name=path.name))
    print(f"{path.name}: {gb(sizes.weights)} of weights")
    print(ROW.format("context", "planned", "peak", "ratio", "KV planned", "KV llama.cpp"))
    for context in CONTEXTS:
        planned = plan(sizes, this_machine(), context=context, gpu_layers=0)
        words = [sys.executable, "-m", "benchmarks.memory_plan", "--child", str(path), str(context)]
        peak = int(json.loads(subprocess.run(words, check=True, capture_output=True).stdout))
        cache = measure(path, context=context).kv
        ratio = f"{planned.total / peak:.3f}"
        print(ROW.format(context, gb(planned.total), gb(peak), ratio, gb(planned.kv), gb(cache)), flush=True)


def child(path: Path, context: int) -> int:
    """Load, prefill, and give the peak of this process in bytes."""
    with Model.load(path, gpu_layers=0) as model, Context(model, size=context) as cache:
        batch = Batch(512)
        for position in range(0, min(context, PREFILL), 512):
            batch.clear()
            batch.add([7] * 512, sequence=0, position=position, output=True)
            cache.decode(batch)
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(child(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else shape_model())
