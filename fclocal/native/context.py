"""KV memory, batches and logits of a loaded model. Knows token ids, positions and sequence numbers; no text.

Everything here belongs to one thread, except `Context.abort`.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from types import TracebackType
from typing import Final, Self

import numpy as np
import psutil
from numpy.typing import NDArray

from fclocal.errors import OutOfMemory, UsageError
from fclocal.native.binding import Model, api
from fclocal.native.devices import devices
from fclocal.native.ggml_types import TENSOR_TYPES
from fclocal.native.hyperparameters import hyperparameters

KV_TYPES: Final[Mapping[str, int]] = {
    "f32": api.GGML_TYPE_F32,
    "f16": api.GGML_TYPE_F16,
    "bf16": 30,
    "q8_0": api.GGML_TYPE_Q8_0,
    "q5_1": api.GGML_TYPE_Q5_1,
    "q5_0": api.GGML_TYPE_Q5_0,
    "q4_1": api.GGML_TYPE_Q4_1,
    "q4_0": api.GGML_TYPE_Q4_0,
}
SMALL_MODEL: Final = 64 << 20
# What llama.cpp keeps for a cell beside its keys and values.
_CELL_BYTES: Final = 64


class Decode(Enum):
    """How a decode ended: DONE; NO_ROOM in the KV cache, nothing changed; ABORTED, earlier micro-batches are kept."""

    DONE = 0
    NO_ROOM = 1
    ABORTED = 2


class Batch:
    """Rows for one decode, in arrays that are allocated once and reused; `rows` of `capacity` are filled."""

    def __init__(self, capacity: int) -> None:
        self.capacity: Final = capacity
        self.rows = 0
        self._tokens = np.zeros(capacity, np.int32)
        self._positions = np.zeros(capacity, np.int32)
        self._sequences = np.zeros(capacity, np.int32)
        self._outputs = np.zeros(capacity, np.int8)
        self._counts = np.ones(capacity, np.int32)
        step = self._sequences.itemsize
        self._sequence_pointers = (self._sequences.ctypes.data + step * np.arange(capacity)).astype(np.uintp)
        self.native: Final = api.llama_batch()
        for name, array in (
            ("token", self._tokens),
            ("pos", self._positions),
            ("n_seq_id", self._counts),
            ("seq_id", self._sequence_pointers),
            ("logits", self._outputs),
        ):
            kind = dict(api.llama_batch._fields_)[name]
            setattr(self.native, name, ctypes.cast(array.ctypes.data, kind))

    def clear(self) -> None:
        """Drop all rows."""
        self.rows = 0

    def add(self, tokens: Sequence[int], *, sequence: int, position: int, output: bool) -> int:
        """Append `tokens` of `sequence` from `position` on; with `output` the last one gets logits. Returns its row."""
        end = self.rows + len(tokens)
        at = slice(self.rows, end)
        self._tokens[at] = tokens
        self._positions[at] = np.arange(position, position + len(tokens))
        self._sequences[at] = sequence
        self._outputs[at] = 0
        self._outputs[end - 1] = output
        self.rows = end
        return end - 1


class Context:
    """KV memory and compute buffers for `sequences` sequences that share `size` cells. One thread only."""

    def __init__(
        self,
        model: Model,
        *,
        size: int,
        sequences: int = 1,
        batch: int = 512,
        micro_batch: int = 512,
        threads: int | None = None,
        kv_type: str = "f16",
    ) -> None:
        """Raises UsageError for an unknown KV type and OutOfMemory when the memory cannot be had."""
        if kv_type not in KV_TYPES:
            raise UsageError(f"There is no KV type {kv_type!r}.", f"Known are {', '.join(KV_TYPES)}.")
        _refuse_impossible(model, size, kv_type)
        params = api.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = size, batch, micro_batch
        params.n_seq_max, params.kv_unified = sequences, True
        params.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_AUTO
        params.type_k = params.type_v = KV_TYPES[kv_type]
        params.n_threads = threads or default_threads(model.size)
        params.n_threads_batch = threads or cores()
        # strlen as the abort callback: it answers "is the first byte set" in C, so that asking it before every graph
        # node never waits for Python's lock.
        self._abort_flag = ctypes.create_string_buffer(2)
        params.abort_callback = ctypes.cast(_c_library().strlen, api.ggml_abort_callback)
        params.abort_callback_data = ctypes.addressof(self._abort_flag)
        self._pointer: int | None = api.llama_init_from_model(model.pointer, params)
        if not self._pointer:
            raise _no_memory(model.path.name, size)
        self._memory = api.llama_get_memory(self._pointer)
        self._vocabulary_size = model.vocabulary.size
        self._row = ctypes.c_float * model.vocabulary.size
        self.size: Final = size
        self.sequences: Final = sequences
        self.batch_size: Final = int(api.llama_n_batch(self._pointer))
        if model.adapters:
            self._set_adapters(model.adapters)

    def decode(self, batch: Batch) -> Decode:
        """Run `batch` through the model. Raises OutOfMemory or RuntimeError when llama.cpp gives up."""
        batch.native.n_tokens = batch.rows
        status = int(api.llama_decode(self._pointer, batch.native))
        if status == -2:
            raise OutOfMemory("llama.cpp ran out of memory while decoding.", "Use a smaller --context.")
        if status < 0:
            raise RuntimeError(f"llama_decode failed with status {status}")
        return Decode(status)

    def logits(self, row: int) -> NDArray[np.float32]:
        """Logits of a batch row that asked for them, shape (vocabulary,): a view that the next decode overwrites."""
        pointer = api.llama_get_logits_ith(self._pointer, row)
        return np.ctypeslib.as_array(self._row.from_address(ctypes.addressof(pointer.contents)))

    def abort(self, wanted: bool) -> None:
        """Ask the running decode to stop early, or take that back. Any thread may call this."""
        self._abort_flag[0] = b"\x01" if wanted else b"\x00"

    def cut(self, sequence: int, keep: int) -> bool:
        """Keep the first `keep` tokens of `sequence`; False when the model's memory cannot be cut there."""
        return bool(api.llama_memory_seq_rm(self._memory, sequence, keep, -1))

    def copy(self, source: int, target: int, count: int) -> None:
        """Let `target` share the first `count` cells of `source`."""
        api.llama_memory_seq_cp(self._memory, source, target, 0, count)

    def length(self, sequence: int) -> int:
        """Tokens of `sequence` in memory."""
        return int(api.llama_memory_seq_pos_max(self._memory, sequence)) + 1

    def save(self, sequence: int) -> bytes:
        """The KV state of `sequence`."""
        room = int(api.llama_state_seq_get_size(self._pointer, sequence))
        data = (ctypes.c_uint8 * room)()
        count = int(api.llama_state_seq_get_data(self._pointer, data, room, sequence))
        return bytes(memoryview(data)[:count])

    def restore(self, sequence: int, state: bytes) -> bool:
        """Replace the memory of `sequence` by a saved state; False (and an empty sequence) when it does not fit."""
        data = ctypes.cast(ctypes.c_char_p(state), ctypes.POINTER(ctypes.c_uint8))
        if api.llama_state_seq_set_data(self._pointer, data, len(state), sequence):
            return True
        self.cut(sequence, 0)
        return False

    def close(self) -> None:
        """Free the memory."""
        if self._pointer:
            api.llama_free(self._pointer)
            self._pointer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def _set_adapters(self, adapters: Sequence[tuple[int, float]]) -> None:
        pointers = (api.llama_adapter_lora_p_ctypes * len(adapters))(*(pointer for pointer, _ in adapters))
        scales = (ctypes.c_float * len(adapters))(*(scale for _, scale in adapters))
        if api.llama_set_adapters_lora(self._pointer, pointers, len(adapters), scales):
            raise RuntimeError("llama.cpp refused the adapters")


def _refuse_impossible(model: Model, size: int, kv_type: str) -> None:
    """Refuse what llama.cpp would refuse less clearly, or only after filling the memory."""
    name = model.path.name
    facts = hyperparameters(model.header, name=name)
    _, block, block_bytes = TENSOR_TYPES[KV_TYPES[kv_type]]
    if facts.key_size % block or facts.value_size % block:
        raise UsageError(
            f"The KV type {kv_type} needs heads of a multiple of {block}; those of {name} are of {facts.key_size}.",
            "Use f16.",
        )
    elements = sum(facts.kv_heads) * (facts.key_size + facts.value_size)
    cell = elements // block * block_bytes if not facts.latent else 0
    memory = psutil.virtual_memory().total + sum(device.total for device in devices() if device.kind == "gpu")
    if size * (cell + _CELL_BYTES) > memory:
        raise _no_memory(name, size)


def _no_memory(name: str, size: int) -> OutOfMemory:
    return OutOfMemory(
        f"There is no memory for a context of {size:,} tokens of {name}.",
        "Use a smaller --context or fewer --gpu-layers.",
    )


def default_threads(weights: int) -> int:
    """Threads for one token at a time of a model of `weights` bytes: the physical cores that this process may use, but
    one for a small model, where waiting for each other costs more than it saves (measured at 10 MB: 0.9 ms a token
    alone, up to 90 ms with two on a busy machine)."""
    return 1 if weights < SMALL_MODEL else cores()


def cores() -> int:
    """Physical cores that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, psutil.cpu_count(logical=False) or usable))


def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL("msvcrt") if sys.platform == "win32" else ctypes.CDLL(None)
