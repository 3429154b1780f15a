"""Measure what a model needs without loading it: llama.cpp plans its buffers and allocates nothing.

The measurement runs in a child process, since llama.cpp's log is one per process and a hostile file may abort it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fclocal.errors import ModelBroken, OutOfMemory
from fclocal.native.gguf import read_header
from fclocal.native.hyperparameters import hyperparameters

TIME_LIMIT: Final = 30.0
_SIZE: Final = re.compile(
    r"^\S+:\s+(?P<device>\S+)\s+(?P<what>KV|compute|output|RS) buffer size =\s*(?P<size>[\d.]+) MiB"
)
_KV: Final = re.compile(r"^llama_(?:kv_cache|memory_recurrent)\S*: size =\s*([\d.]+) MiB")


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes that llama.cpp would allocate beside the weights: the KV cache (recurrent state included), the compute
    buffers by device, and the logits."""

    kv: int
    compute: Mapping[str, int]
    output: int

    @property
    def compute_bytes(self) -> int:
        """Compute buffers of all devices."""
        return sum(self.compute.values())


def measure(path: Path, *, context: int, kv_type: str = "f16", gpu_layers: int = 0, sequences: int = 1) -> Measured:
    """Ask llama.cpp for the buffers of `path` with `context` tokens. About half a second, no weights are read.

    Raises ModelMissing and ModelBroken, and OutOfMemory when llama.cpp cannot make such a context.
    """
    hyperparameters(read_header(path), name=path.name)
    words = {
        "path": str(path),
        "context": context,
        "kv_type": kv_type,
        "gpu_layers": gpu_layers,
        "sequences": sequences,
    }
    command = [sys.executable, "-m", "fclocal.native.probe", json.dumps(words)]
    try:
        child = subprocess.run(
            command, capture_output=True, text=True, timeout=TIME_LIMIT, errors="replace", check=False
        )
    except subprocess.TimeoutExpired:
        raise ModelBroken(f"llama.cpp did not finish planning {path.name} in {TIME_LIMIT:g} s.") from None
    if child.returncode == _NO_CONTEXT:
        raise OutOfMemory(f"llama.cpp cannot make a context of {context:,} tokens for {path.name}.")
    if child.returncode:
        raise ModelBroken(f"llama.cpp cannot read {path.name} (its process ended with {child.returncode}).")
    return parse_log(child.stdout)


def parse_log(text: str) -> Measured:
    """Add up the buffer sizes in llama.cpp's log. Lines that cannot be read count as nothing."""
    kv = output = 0
    compute: dict[str, int] = {}
    for line in text.splitlines():
        total, buffer = _KV.match(line), _SIZE.match(line)
        if total:
            kv += _bytes(total[1])
        elif buffer and buffer["what"] == "compute":
            compute[buffer["device"]] = compute.get(buffer["device"], 0) + _bytes(buffer["size"])
        elif buffer and buffer["what"] == "output":
            output += _bytes(buffer["size"])
    return Measured(kv, compute, output)


_NO_CONTEXT: Final = 7


def _bytes(mebibytes: str) -> int:
    return int(float(mebibytes) * (1 << 20))


def _child(words: dict[str, object]) -> int:
    """What the child process does: plan one model and print llama.cpp's log."""
    from fclocal.native.binding import api, send_log, start_backend  # deferred: only the child loads llama.cpp
    from fclocal.native.context import KV_TYPES  # deferred: only the child loads llama.cpp

    send_log(lambda text: print(text, end=""))
    start_backend()
    model = api.llama_model_default_params()
    model.no_alloc, model.load_mode = True, api.LLAMA_LOAD_MODE_NONE
    model.n_gpu_layers = words["gpu_layers"]
    loaded = api.llama_model_load_from_file(os.fsencode(str(words["path"])), model)
    if not loaded:
        return 4
    params = api.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch = words["context"], 512, 512
    params.n_seq_max, params.kv_unified = words["sequences"], True
    params.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_AUTO
    params.type_k = params.type_v = KV_TYPES[str(words["kv_type"])]
    made = api.llama_init_from_model(loaded, params)
    sys.stdout.flush()
    return 0 if made else _NO_CONTEXT


if __name__ == "__main__":
    code = _child(json.loads(sys.argv[1]))
    sys.stdout.flush()
    # Nothing is to be freed, and llama.cpp's own teardown is not needed.
    os._exit(code)
