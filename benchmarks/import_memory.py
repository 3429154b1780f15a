"""Peak memory of `fclocal import` on a checkpoint of a whole 7B model: the converter's and the quantizer's, in one run.

Run: python -m benchmarks.import_memory [--layers 32] [--quant Q4_K_M] [FOLDER]. Writes a checkpoint of Llama-2 7B's
shape with random bfloat16 weights (13.5 GB) into FOLDER, imports it, and removes all of it. Needs 32 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import psutil

from tests.models.checkpoints import LLAMA, write_sentencepiece

WIDTH, INNER, HEADS, VOCABULARY = 4096, 11_008, 32, 32_000
SHARDS = 3


def main() -> None:
    """Write, import, measure, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--quant", default="Q4_K_M")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        source = folder / "llama-2-7b-shape"
        size = write(source, options.layers)
        began = time.perf_counter()
        peaks = imported(source, folder, options.quant)
        seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "checkpoint_bytes": size,
                "quant": options.quant,
                "seconds": round(seconds),
                **{f"peak_{name}_mib": round(value / 2**20) for name, value in peaks.items()},
            }
        )
    )


def tensors(layers: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of each tensor."""
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for layer in range(layers):
        at = f"model.layers.{layer}"
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"{at}.{norm}.weight", (WIDTH,)
        for letter in "qkvo":
            yield f"{at}.self_attn.{letter}_proj.weight", (WIDTH, WIDTH)
        yield f"{at}.mlp.gate_proj.weight", (INNER, WIDTH)
        yield f"{at}.mlp.up_proj.weight", (INNER, WIDTH)
        yield f"{at}.mlp.down_proj.weight", (WIDTH, INNER)
    yield "model.norm.weight", (WIDTH,)
    yield "lm_head.weight", (VOCABULARY, WIDTH)


def write(folder: Path, layers: int) -> int:
    """Write the checkpoint; bytes of its weights."""
    folder.mkdir()
    config = LLAMA | {
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "vocab_size": VOCABULARY,
    }
    (folder / "config.json").write_text(json.dumps(config))
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    pieces += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
    pieces += [(f"▁word{at}", -float(at), 1) for at in range(VOCABULARY - len(pieces))]
    write_sentencepiece(folder / "tokenizer.model", pieces)
    values = (np.random.default_rng(0).standard_normal(1 << 24) * 0.02).astype(np.float32)
    pattern = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    named = list(tensors(layers))
    placed = {}
    for shard in range(SHARDS):
        name = f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
        part = named[shard::SHARDS]
        write_shard(folder / name, part, pattern)
        placed |= {key: name for key, _ in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return sum(2 * prod(shape) for _, shape in named)


def write_shard(path: Path, part: list[tuple[str, tuple[int, ...]]], pattern: bytes) -> None:
    """One safetensors file whose tensors repeat `pattern`."""
    header: dict[str, object] = {}
    at = 0
    for name, shape in part:
        size = 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape in part:
            left = 2 * prod(shape)
            while left:
                left -= file.write(pattern[:left])


def imported(source: Path, folder: Path, quant: str) -> dict[str, int]:
    """Run the import; the largest private and whole resident memory in bytes, of its processes together."""
    homes = {f"XDG_{name}_HOME": str(folder / name.lower()) for name in ("DATA", "CONFIG", "CACHE", "STATE")}
    words = [sys.executable, "-m", "fclocal", "import", str(source), "--quant", quant, "--json"]
    peaks = {"private": 0, "with_mapped_files": 0}
    with subprocess.Popen(words, env={**os.environ, **homes}, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            private = mapped = 0
            for one in family(process.pid):
                try:
                    memory = one.memory_info()
                except psutil.NoSuchProcess:
                    continue
                private += memory.rss - memory.shared
                mapped += memory.rss
            peaks = {
                "private": max(private, peaks["private"]),
                "with_mapped_files": max(mapped, peaks["with_mapped_files"]),
            }
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(process.returncode)
    return peaks


def family(pid: int) -> list[psutil.Process]:
    """The process and its children."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


if __name__ == "__main__":
    main()
