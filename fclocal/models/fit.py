"""Does a model fit, with which context and how many layers on the GPU? Pure: knows sizes, not llama.cpp.

The formulas are those of llama.cpp's full-attention KV cache with flash attention on; native/probe.py measures exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from fclocal.native.gguf import Header
from fclocal.native.hyperparameters import Hyperparameters

MARGIN: Final = 1 << 30
UBATCH: Final = 512
COMPUTE_BASE: Final = 8 << 20
CONTEXT_STEP: Final = 256
# Bytes for one element of a KV cache.
KV_BYTES: Final[Mapping[str, float]] = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
}
# What ggml copies into another layout for the CPU's vector units.
_REPACKED: Final = frozenset({"Q4_0", "Q4_K", "IQ4_NL"})
_LAYER: Final = re.compile(r"blk\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device: free and total memory in bytes."""

    name: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine has: `memory` is the free main memory in bytes; `repacks` says that the CPU copies weights."""

    memory: int
    gpus: tuple[Gpu, ...] = ()
    repacks: bool = False


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a model needs. `layers` are the weight bytes of each layer, `other` those of embeddings and output.

    `kv` are elements per token and layer, `repacked` bytes that the CPU would keep twice. `exact` is False when there
    was no header and sizes are estimates.
    """

    layers: tuple[int, ...]
    other: int
    kv: tuple[int, ...]
    vocabulary: int
    context: int
    repacked: int = 0
    exact: bool = True

    @property
    def weights(self) -> int:
        """Bytes of all weights."""
        return sum(self.layers) + self.other


@dataclass(frozen=True, slots=True)
class Fit:
    """A plan for one context length. Sizes in bytes; `gpu_layers` of `layers` go to GPUs, -1 standing for all and the
    output.

    `on_gpu` and `on_cpu` are what each side holds; `largest_context` is the longest that fits, 0 when none does.
    """

    context: int
    kv_type: str
    weights: int
    kv: int
    compute: int
    repack: int
    gpu_layers: int
    layers: int
    on_gpu: int
    on_cpu: int
    memory: int
    fits: bool
    largest_context: int
    exact: bool

    @property
    def total(self) -> int:
        """All that is needed, on either side."""
        return self.on_gpu + self.on_cpu

    @property
    def sentence(self) -> str:
        """The plan in words."""
        about = "" if self.exact else "about "
        parts = f"{about}{gb(self.weights)} weights + {gb(self.kv)} KV cache ({self.context:,} tokens, {self.kv_type})"
        parts += f" + {gb(self.compute + self.repack)} compute = {gb(self.total)}"
        if not self.fits:
            cure = f"; {self.largest_context:,} tokens would fit" if self.largest_context else ""
            return f"Does not fit: {parts}, {gb(self.memory)} free{cure}."
        if self.gpu_layers == -1:
            return f"Fits on the GPU: {parts}."
        if self.gpu_layers:
            return f"Fits: {parts}; {self.gpu_layers} of {self.layers} layers on the GPU, the rest on the CPU."
        return f"Fits on the CPU: {parts}, {gb(self.memory)} free."


def sizes_of(header: Header, facts: Hyperparameters) -> Sizes:
    """What the model in `header` needs."""
    layers = [0] * facts.layers
    other = repacked = 0
    for tensor in header.tensors:
        match = _LAYER.match(tensor.name)
        if match and int(match[1]) < facts.layers:
            layers[int(match[1])] += tensor.size
        else:
            other += tensor.size
        if tensor.type_name in _REPACKED and len(tensor.shape) == 2 and tensor.name != "token_embd.weight":
            repacked += tensor.size
    return Sizes(tuple(layers), other, _kv_elements(header, facts), facts.vocabulary, facts.context, repacked)


def estimated_sizes(size: int, *, context: int | None = None, kv: int | None = None) -> Sizes:
    """What a model file of `size` bytes needs when its header is not known: 32 layers, grouped-query attention.

    `kv` are the elements of the KV cache per token over all layers, where they are known.
    """
    per_layer = (kv or 65_536) // 32
    return Sizes((size // 33,) * 32, size - size // 33 * 32, (per_layer,) * 32, 64_000, context or 8192, exact=False)


def plan(
    sizes: Sizes, machine: Machine, *, context: int | None = None, kv_type: str = "f16", gpu_layers: int | None = None
) -> Fit:
    """Plan memory for `context` tokens (None: the trained length, at most 8,192) and `gpu_layers` (None: what fits)."""
    wanted = context or min(sizes.context, 8192)
    found = _plan(sizes, machine, wanted, kv_type, gpu_layers)
    if found[-1]:
        return _fit(sizes, machine, wanted, kv_type, found, wanted)
    largest = largest_context(sizes, machine, kv_type=kv_type, gpu_layers=gpu_layers)
    return _fit(sizes, machine, wanted, kv_type, found, largest)


def largest_context(sizes: Sizes, machine: Machine, *, kv_type: str = "f16", gpu_layers: int | None = None) -> int:
    """The longest context that fits, a multiple of 256 up to the trained length; 0 when none does."""
    low, high = 0, max(1, sizes.context // CONTEXT_STEP)
    while low < high:
        middle = (low + high + 1) // 2
        if _plan(sizes, machine, middle * CONTEXT_STEP, kv_type, gpu_layers)[-1]:
            low = middle
        else:
            high = middle - 1
    return low * CONTEXT_STEP


def kv_bytes(sizes: Sizes, context: int, kv_type: str = "f16") -> int:
    """Bytes of the KV cache for `context` tokens, which llama.cpp rounds up to 256."""
    cells = -(-context // CONTEXT_STEP) * CONTEXT_STEP
    return int(sum(sizes.kv) * cells * KV_BYTES[kv_type])


def compute_bytes(sizes: Sizes) -> int:
    """Bytes of the compute buffer with flash attention: the logits of one micro-batch, and a little."""
    return UBATCH * sizes.vocabulary * 4 + COMPUTE_BASE


def gb(size: float) -> str:
    """Bytes as the Hub shows them."""
    if size < 1e5:
        return f"{size / 1e3:.1f} kB" if size >= 1e3 else f"{size:.0f} bytes"
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _plan(
    sizes: Sizes, machine: Machine, context: int, kv_type: str, gpu_layers: int | None
) -> tuple[int, int, int, int, bool]:
    """(GPU layers, bytes on GPUs, bytes on the CPU, bytes repacked, fits)."""
    cells = -(-context // CONTEXT_STEP) * CONTEXT_STEP
    costs = [size + int(kv * cells * KV_BYTES[kv_type]) for size, kv in zip(sizes.layers, sizes.kv, strict=True)]
    compute, count = compute_bytes(sizes), len(costs)
    # Who names a number of layers takes the margin upon himself.
    margin = MARGIN if gpu_layers is None else 0
    free = [max(0, gpu.free - margin - compute) for gpu in machine.gpus]
    room = _placed(costs, sizes.other, free)
    wanted = room if gpu_layers is None else (count + 1 if gpu_layers < 0 else min(gpu_layers, count + 1))
    layers = wanted if machine.gpus else 0
    offloaded = sum(costs[count - min(layers, count) :]) + (sizes.other if layers > count else 0)
    on_gpu = offloaded + compute if layers else 0
    repacked = sizes.repacked * (count - min(layers, count)) // count if machine.repacks else 0
    on_cpu = sum(costs) + sizes.other - offloaded + repacked + (0 if layers > count else compute)
    fits = layers <= room and on_cpu <= machine.memory if layers else on_cpu <= machine.memory
    return (-1 if layers > count else layers, on_gpu, on_cpu, repacked, fits)


def _placed(costs: list[int], other: int, free: list[int]) -> int:
    """How many layers fit on the devices, counted from the last; one more when the output fits as well."""
    left = list(free)
    for placed, cost in enumerate([*reversed(costs), other]):
        device = next((index for index, room in enumerate(left) if room >= cost), None)
        if device is None:
            return placed
        left[device] -= cost
    return len(costs) + 1


def _fit(
    sizes: Sizes, machine: Machine, context: int, kv_type: str, found: tuple[int, int, int, int, bool], largest: int
) -> Fit:
    gpu_layers, on_gpu, on_cpu, repacked, fits = found
    return Fit(
        context=context,
        kv_type=kv_type,
        weights=sizes.weights,
        kv=kv_bytes(sizes, context, kv_type),
        compute=compute_bytes(sizes),
        repack=repacked,
        gpu_layers=gpu_layers,
        layers=len(sizes.layers),
        on_gpu=on_gpu,
        on_cpu=on_cpu,
        memory=machine.memory,
        fits=fits,
        largest_context=largest,
        exact=sizes.exact,
    )


def _kv_elements(header: Header, facts: Hyperparameters) -> tuple[int, ...]:
    if facts.latent:
        rope = int(header.number(f"{facts.architecture}.rope.dimension_count"))
        return (facts.latent + rope,) * facts.layers
    return tuple(heads * (facts.key_size + facts.value_size) for heads in facts.kv_heads)
